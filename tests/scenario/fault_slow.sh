# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# An answer at a few bytes a second: a dead letter with the reason after its attempts; never a row, and the others go on.
mock --fault /orders/7=slow/20
orders 9
HTTP='timeout: 300ms' pipeline_orders 'flow: { concurrency: 3, retry: { attempts: 3, backoff: 5ms..10ms } }'
run
expect_code 3
expect_rows 8
expect_sql 'SELECT count(*) FROM orders WHERE id = 7' 0
expect_summary '.read == 9 and .succeeded == 8 and .dead == 1 and .retries == 2'
expect_dead 1 'timeout'
expect_json dead.jsonl '.attempts == 3 and .item.order_id == 7'
