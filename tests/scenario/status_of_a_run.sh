# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir status` on a live run, and when there is none.
mock --latency 100ms
orders 100
pipeline_orders 'name: shop' 'flow: { concurrency: 2 }'
start_run
wait_until 5 test -S state/ctl
expect test "$(stat -c %a state/ctl)" = 600
wait_until 5 status_says '.in_flight == 2'
CODE=0
"$WEIR" status state >status.out 2>status.err || CODE=$?
expect_code 0
expect grep -q shop status.out
expect grep -qx '  concurrency 2, rate none' status.out
weir set state paused=true
weir status state
expect_out '^  ! paused; weir resume state continues$'
weir set state paused=false
weir status no-such-run
expect_code 69
expect_err 'no run called "no-such-run" in .weir/ below this folder'
kill -TERM "$started_pid"
finish
expect_code 5
weir status state
expect_code 0
expect_out '^shop: stopped '
