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
kill -TERM "$started_pid"
finish
expect_code 5
CODE=0
"$WEIR" status --state state >status.out 2>status.err || CODE=$?
expect test "$CODE" != 0
