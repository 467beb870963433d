# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# With 64 descriptors and 500 wanted at once: less concurrency, said once, and every row.
mock --latency 5ms
orders 300
pipeline_orders 'flow: { concurrency: 500 }'
ulimit -n 64
run
expect_code 0
expect_rows 300
expect_summary '.dead == 0'
expect_err 'descriptor'
