# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# SIGTERM while there is nothing to do, since the source is a pipe on which nothing comes: ends at once, all that came is
# written, and the same command goes on with what comes later.
mock
pipeline <<'YAML'
source: { stdin: {} }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.order_id}' }
  - jq: '{id}'
sink: { sqlite: { path: out.db, table: orders, key: id, columns: [id] } }
shutdown: { drain: 20s }
YAML
mkfifo pipe
"$WEIR" run pipeline.yaml --state state --summary summary.json <pipe >stdout 2>stderr &
started_pid=$!
pids+=("$started_pid")
exec 8>pipe
seq 1 30 | sed 's/.*/{"order_id": &}/' >&8
wait_until 10 status_says '.succeeded == 30 and .in_flight == 0'
wait_until 5 status_says '.flow.why == "source"'
before=${EPOCHREALTIME/./}
kill -TERM "$started_pid"
finish
expect_code 5
expect test $((${EPOCHREALTIME/./} - before)) -lt 10000000
expect_rows 30
exec 8>&-
seq 31 40 | sed 's/.*/{"order_id": &}/' >more.jsonl
CODE=0
"$WEIR" run pipeline.yaml --state state --summary summary.json <more.jsonl >stdout 2>stderr || CODE=$?
expect_code 0
expect_rows 40
expect_summary '.read == 40 and .succeeded == 40'
