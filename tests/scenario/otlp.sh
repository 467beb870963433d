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
cat >trees.py <<'PY'
import collections, json, sys

def check(true, *what):
    if not true:
        sys.exit(f"{what}")

spans = [json.loads(line) for line in open("spans.jsonl")]
traces = collections.defaultdict(list)
for span in spans:
    traces[span["traceId"]].append(span)
check(len({span["spanId"] for span in spans}) == len(spans), "an id is there twice")
check(len({span["resource"]["service.instance.id"] for span in spans}) == 2, "two processes")
check({span["resource"]["service.name"] for span in spans} == {"pipeline"}, "service")
check({span["resource"]["deployment.environment.name"] for span in spans} == {"test"}, "resource")
whole = dead = retried = complete = 0
for trace in traces.values():
    ids = {span["spanId"]: span for span in trace}
    items = [span for span in trace if span["name"] == "process pipeline"]
    check(len(items) <= 1, "two items", trace)
    if not items:  # it was killed before
        continue
    item = items[0]
    whole += 1
    attempts = [span for span in trace if span["name"] == "attempt"]
    check("parentSpanId" not in item and item["kind"] == 5, item)
    for span in trace:
        check(span is item or span["parentSpanId"] in ids, "no parent", span, trace)
        check(span["name"] in ("process pipeline", "wait", "attempt", "GET", "jq", "write sqlite"), span)
        for link in span.get("links", []):
            check(link["traceId"] == span["traceId"], span)
        if span["name"] in ("GET", "jq"):
            check(ids[span["parentSpanId"]]["name"] == "attempt", span)
        if span["name"] == "GET":
            check(span["kind"] == 3 and span["attributes"]["url.full"].endswith("?key=REDACTED"), span)
            check(("status" in span) == (span["attributes"].get("http.response.status_code") != "200"), span)
    made = int(item["attributes"]["weir.item.attempts"])
    retried += made > 1
    dead += item["attributes"]["weir.item.outcome"] == "dead"
    check(("status" in item) == (item["attributes"]["weir.item.outcome"] == "dead"), item)
    complete += made > 1 and len(attempts) >= made  # of others the spans were killed with their process
check(whole > 80 and complete > 10 and retried >= complete and dead >= 10, whole, complete, retried, dead)
names = {json.loads(line)["name"] for line in open("points.jsonl")}
check({"weir_items_read_total", "weir_item_duration_seconds", "weir_otlp_dropped_total"} <= names, names)
PY
python3 trees.py || fail "the spans are not as they should be"
[ ! -s wrong.log ] || fail "the receiver found: $(head -n 3 wrong.log)"
! grep -v 'Bearer t0ken gzip' requests.log || fail "a request without its headers"
! grep -q s3cret spans.jsonl || fail "a span holds a secret"
weir dead export state
trace=$(jq -r 'select(.evidence.kind == "jq") | .evidence.trace_id' stdout | tail -n 1)
expect grep -q "\"traceId\": \"$trace\"" spans.jsonl
