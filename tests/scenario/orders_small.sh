# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A slow upstream with some errors: every order becomes one row, none twice, and the accounts match.
mock --latency 10ms --errors 2% --seed 1
orders 300
pipeline_orders 'flow: { concurrency: 50, retry: { attempts: 8, backoff: 10ms..100ms } }'
run
expect_code 0
expect_rows 300
expect_sql 'SELECT count(DISTINCT id) FROM orders' 300
expect_sql 'SELECT count(*) FROM orders WHERE total IS NULL' 0
expect_summary '.state == "done" and .read == 300 and .succeeded == 300 and .dead == 0'
expect_summary '.attempts == .read + .retries and .wall_s > 0 and .items_per_s > 0 and .cpu_s > 0'
expect_summary '.attempt_ms | .p50 >= 10 and .p50 <= .p95 and .p95 <= .p99 and .p99 <= .max'
expect_summary '.item_ms.p50 >= .attempt_ms.p50 and .peak_rss_bytes > 1000000 and has("schema")'

# Again over the same table: the rows are replaced, not doubled.
run
expect_code 0
expect_rows 300
