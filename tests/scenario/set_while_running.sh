# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir set` changes a running pipeline: concurrency, a rate, no rate, pause; all of it or nothing.
mock --latency 50ms
orders 3000
pipeline_orders 'flow: { concurrency: 2 }'
start_run
wait_until 5 status_says '.succeeded > 5'
wait_until 5 status_says '.flow.concurrency == 2 and .flow.auto == false and .flow.why == "concurrency limit"'
weir set state concurrency=100 rate=400/s
expect_code 0
expect_out '^pipeline: concurrency 100, rate 400/s'
wait_until 5 status_says '.flow.why == "rate limit (yours)"'
expect status_says '.flow.own_rate == "400/s" and .flow.rate_from == "yours"'
weir set state paused=true
expect_out 'paused'
wait_until 5 status_says '.flow.why == "paused" and .http_in_flight == 0'
before=$(mock_stat .requests)
sleep 0.5
expect test "$(mock_stat .requests)" = "$before"
expect status_says '.state == "running" and .flow.paused'

# What cannot be is refused, with what could be, and changes nothing.
weir set state concurrency=7 rate=fast
expect_code 64
expect_err 'rate is "fast", expected none, or a rate'
weir set state speed=9
expect_code 64
expect_err 'cannot be set, expected concurrency=N or auto'
weir set state concurrency=90000
expect_code 64
expect_err 'at most'
expect status_says '.flow.concurrency == 100 and .flow.paused'
weir set elsewhere paused=true
expect_code 69
weir set state
expect_code 64

weir set state paused=false rate=none concurrency=auto
expect_out 'auto.*rate none'
finish
expect_code 0
expect_rows 3000
expect_summary '.flow.own_rate == null and .flow.auto and .wall_s < 30'
