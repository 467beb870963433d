# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Two runs on one state folder: the second is refused and says who holds it.
mock --latency 200ms
orders 100
pipeline_orders 'flow: { concurrency: 2 }'
start_run
wait_until 5 test -S state/ctl
CODE=0
"$WEIR" run pipeline.yaml --state state >second.out 2>second.err || CODE=$?
expect_code 75
expect grep -q "$started_pid" second.err
expect kill -0 "$started_pid"
kill -TERM "$started_pid"
finish
expect_code 5
