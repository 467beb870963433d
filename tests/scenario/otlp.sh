# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Traces and metrics at a receiver that checks each field.  The run is killed and resumed: the spans of an item make one
# tree, whichever process they came from.  Upstreams get the trace's id, and dead letters have it.
start_server otlp_receiver
mock --latency 5ms --errors 20%
orders 400
cat >pipeline.yaml <<'YAML'
source: { jsonl: orders.jsonl }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.order_id}?key=s3cret', expect: json, into: .answer }
  - jq: 'if .order_id % 20 == 0 then error("no") else {id: .order_id} end'
sink: { sqlite: { path: out.db, table: orders, key: id, columns: [id] } }
flow: { concurrency: 8, rate: 120/s, retry: { backoff: 10ms..50ms } }
stop_when: { dead: 0 }
observe: { otlp: { url: '${env:SERVER}', headers: { Authorization: 'Bearer ${env:KEY}' }, traces: 30%, metrics: 200ms } }
YAML
export KEY=t0ken OTEL_RESOURCE_ATTRIBUTES='deployment.environment.name=test'

start_run
wait_until 20 test -s points.jsonl
wait_until 20 status_says '.dead > 3 and .succeeded > 150 and .retries > 5'
wait_until 20 grep -q '"name": "process pipeline"' spans.jsonl
kill_run
run
expect_code 3
expect_err '"event":"end",.*"run":"[0-9a-f]{32}"'
"$TREE/tests/support/otlp_trees" >trees || fail "the spans are not as they should be: $(cat trees)"
# Of some with retries the spans were killed with their process.
expect_json trees '.traces > 80 and .complete > 10 and .retried >= .complete and .dead >= 10'
expect_json trees '.processes == 2 and .services == ["pipeline"] and .environments == ["test"]'
expect grep -q weir_items_read_total points.jsonl
expect grep -q weir_item_duration_seconds points.jsonl
expect grep -q weir_otlp_dropped_total points.jsonl
[ ! -s wrong.log ] || fail "the receiver found: $(head -n 3 wrong.log)"
! grep -v 'Bearer t0ken gzip' requests.log || fail "a request without its headers"
! grep -q s3cret spans.jsonl || fail "a span holds a secret"
weir dead export state
trace=$(jq -r 'select(.evidence.kind == "jq") | .evidence.trace_id' stdout | tail -n 1)
expect grep -q "\"traceId\": \"$trace\"" spans.jsonl
