# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# In flight is what was sent; what has been taken and stands in line before the upstream is told apart.  A run that
# stands still has no time left that anybody knows.
mock --latency 50ms
orders 2000
pipeline_orders 'flow: { pattern: semaphore, concurrency: 10 }'
start_run
wait_until 10 status_says '.succeeded > 20 and .in_flight > 3 and .eta_s > 1'
expect status_says '.in_flight <= 10 and .in_line > 500'
weir set state paused=true
expect_code 0
wait_until 10 status_says '.in_flight == 0'
expect status_says '.in_line > 500 and (has("eta_s") | not) and .flow.why == "paused"'
weir set state paused=false
expect_code 0
wait_until 10 status_says '.in_flight > 3 and .eta_s > 1'
kill -TERM "$started_pid"
finish
expect_code 5
