# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A sink that can take no more: the run says so and waits for room; stopped, it ends with 74, and what was not written is
# not counted as written.
expect test -c /dev/full
pipeline <<'YAML'
source: { range: 1-1000 }
steps: [ jq: '{n: .}' ]
sink: { stdout: {} }
shutdown: { drain: 200ms }
YAML
"$WEIR" run pipeline.yaml --state state --summary summary.json >/dev/full 2>stderr &
started_pid=$!
pids+=("$started_pid")
wait_until 10 status_says '.degraded'
kill -TERM "$started_pid"
CODE=0
wait "$started_pid" || CODE=$?
check_accounts
expect_code 74
expect_err 'space'
expect_summary '.succeeded == 0 and .unfinished == .read'
