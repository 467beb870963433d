# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A drain that takes too long is given up at its deadline; what was in flight counts as unfinished.
mock --latency 30s
orders 20
pipeline_orders 'flow: { concurrency: 5 }' 'shutdown: { drain: 500ms }'
start_run
wait_until 10 status_says '.in_flight == 5'
kill -TERM "$started_pid"
before=$SECONDS
finish
expect_code 5
expect test $((SECONDS - before)) -le 10
expect_summary '.succeeded == 0 and .dead == 0 and .unfinished == .read and .unfinished >= 5'
