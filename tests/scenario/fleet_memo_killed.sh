# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A worker is killed while all its items are in their second request.  The next one has what the first request brought,
# does not make that again, and sends the same idempotency keys.
start_redis
mock --log first.jsonl --latency /echo=60s
orders 10
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
broker: { redis: { url: '${env:REDIS_URL}' } }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.order_id}', method: POST, body: '${.}' }
  - jq: '{id}'
  - http: { url: '${env:MOCK_URL}/echo', method: POST, body: '${.}', into: .echo }
  - jq: '{id, total: (.echo.body | fromjson | .id)}'
sink: { sqlite: { path: out.db, table: orders, key: id, columns: [id, total] } }
flow: { concurrency: 10 }
YAML
keys_of() {
	jq -r 'select(.path == "/echo") | .headers["idempotency-key"]' "$1" | sort -u
}
all_are_in_the_second() {
	[ "$(mock_stat '.paths["/echo"]')" = 10 ]
}
weir submit pipeline.yaml --detach
expect_code 0
fleet_work one
wait_until 20 all_are_in_the_second
expect test "$(mock_stat '.paths["/orders"]')" = 10
kill -KILL "$work_pid"
wait "$work_pid" 2>/dev/null || true
mock_args=(--log second.jsonl)
mock_restart
fleet_work two
work_ends "$work_pid" 0
expect_sql 'SELECT count(*), sum(id = total) FROM orders' '10|10'
expect test "$(mock_stat '.paths | "\(.["/echo"]) \(.["/orders"])"')" = '10 null'
keys_of first.jsonl >first
keys_of second.jsonl >second
expect_lines 10 second
expect cmp first second
