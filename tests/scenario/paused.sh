# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A run that is paused is stopped at once by a signal, though items wait for their turn; it goes on where it was.
mock --latency 20ms
orders 400
pipeline_orders 'flow: { concurrency: 10 }' 'shutdown: { drain: 20s }'
start_run
wait_until 5 status_says '.succeeded > 20'
weir set state paused=true
wait_until 5 status_says '.http_in_flight == 0'
began=${EPOCHREALTIME/./}
kill -TERM "$started_pid"
finish
expect_code 5
expect test $((${EPOCHREALTIME/./} - began)) -lt 10000000
expect_summary '.succeeded >= 20 and .succeeded < 400 and .dead == 0'
run
expect_code 0
expect_rows 400
