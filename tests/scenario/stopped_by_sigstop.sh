# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Stopped for five seconds (SIGSTOP) and woken: nothing is lost, and meanwhile nobody else takes its state.
mock --latency 20ms
orders 1000
pipeline_orders 'flow: { concurrency: 20 }'
start_run
wait_until 5 status_says '.succeeded > 50'
kill -STOP "$started_pid"
CODE=0
"$WEIR" run pipeline.yaml --state state >second.out 2>second.err || CODE=$?
expect_code 75
sleep 5
kill -CONT "$started_pid"
finish
expect_code 0
expect_rows 1000
expect_oracle --key order_id=id
