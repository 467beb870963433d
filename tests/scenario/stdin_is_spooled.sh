# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What came through a pipe cannot be read again: once it counts as read, a kill does not lose it.
mock --latency 100ms
pipeline <<'YAML'
source: { stdin: {} }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.order_id}', expect: json }
flow: { concurrency: 10 }
sink: { sqlite: { path: out.db, table: orders, key: id, columns: [id] } }
YAML
orders 1000
mkfifo pipe
"$WEIR" run pipeline.yaml --state state --summary summary.json <pipe >stdout 2>stderr &
started_pid=$!
pids+=("$started_pid")
cat orders.jsonl >pipe
wait_until 10 status_says '.read == 1000'
kill_run
run
expect_code 0
expect_summary '.read == 1000 and .succeeded == 1000 and .resumed'
expect_rows 1000
