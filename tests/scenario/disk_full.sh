# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A sink that can take no more: the run waits for room instead of failing.  Told to stop it gives up when its drain is
# over, with exit code 74, and what was not written is not counted as written.
expect test -c /dev/full
pipeline <<'YAML'
source: { range: 1-1000 }
broker: { memory: {} }
steps: [ jq: '{n: .}' ]
sink: { jsonl: { path: /dev/full } }
shutdown: { drain: 500ms }
YAML
start_run
wait_until 5 test -S state/ctl
sleep 1
expect kill -0 "$started_pid"
kill -TERM "$started_pid"
finish
expect_code 74
expect_err 'space'
expect_summary '.succeeded == 0 and .unfinished == .read and .read > 0'
