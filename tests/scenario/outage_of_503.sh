# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The upstream answers nothing but 503 for two seconds in the middle of a run: the breaker opens, few calls are made
# meanwhile, nothing is lost, no item runs out of attempts.
mock --latency 10ms --outage 500ms..2500ms
orders 1500
pipeline_orders 'flow: { concurrency: 20, retry: { backoff: 20ms..200ms }, breaker: { window: 500ms, open: 300ms..1s } }'
run
expect_code 0
expect_rows 1500
expect_summary '.dead == 0 and .flow.breaker_opened >= 1 and .flow.breaker == "closed"'
expect_summary '.attempts - 1500 < 150'
expect_err 'fails .status: 503.; items wait, next probe'
expect_err '127.0.0.1:[0-9]+ is back'
expect_oracle --key order_id=id
