# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# --fresh does not throw away what is unfinished, nor dead letters, unless it is told so twice.
mock --latency 100ms
orders 100
pipeline_orders 'flow: { concurrency: 5 }'
stop_once '.succeeded >= 5'
expect_code 5
run --fresh
expect_code 64
expect_err 'discard.*unfinished.*--fresh=discard'
run --fresh=discrad
expect_code 64
run --fresh=discard
expect_code 0
expect_summary '.succeeded == 100 and (.resumed | not)'
