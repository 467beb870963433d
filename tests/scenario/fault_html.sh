# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# An answer that is HTML where JSON is expected: a dead letter with the reason, at once; never a row, and the others go on.
mock --fault /orders/7=html
orders 9
pipeline_orders 'flow: { concurrency: 3, retry: { attempts: 3, backoff: 5ms..10ms } }'
run
expect_code 3
expect_rows 8
expect_sql 'SELECT count(*) FROM orders WHERE id = 7' 0
expect_summary '.read == 9 and .succeeded == 8 and .dead == 1 and .retries == 0'
expect_dead 1 '^not json: an HTML page: "Page in place of JSON"$'
expect_json dead.jsonl '.attempts == 1 and .item.order_id == 7'
