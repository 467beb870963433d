# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir status` on a live run, and when there is none.
mock --latency 100ms
orders 100
pipeline_orders 'name: shop' 'flow: { concurrency: 2 }'
start_run
wait_until 5 test -S state/ctl
expect test "$(stat -c %a state/ctl)" = 600
sleep 0.5
CODE=0
"$WEIR" status --state state >status.out 2>status.err || CODE=$?
expect_code 0
expect grep -q shop status.out
expect grep -q 'at once: 2, 0 x 429, breaker closed' status.out
weir set --state state paused=true
weir status --state state
expect_out 'held back by: pause; `weir set shop paused=false` goes on'
weir set --state state paused=false
weir status no-such-run
expect_code 69
expect_err 'no run called "no-such-run" in .weir/ below this folder'
kill -TERM "$started_pid"
finish
expect_code 5
CODE=0
"$WEIR" status --state state >status.out 2>status.err || CODE=$?
expect test "$CODE" != 0
