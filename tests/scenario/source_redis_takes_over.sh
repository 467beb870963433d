# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A worker that reads with ">" and claims nothing was killed twice, and has left 70 orders pending that nobody would ever
# process.  A pipeline takes its place in the same group, while the producer goes on: each order has one row, though the
# run is killed twice, and nothing is pending.
N=400
start_redis
mock --latency 2ms
produce() {
	seq "$1" "$2" | sed 's/.*/XADD orders * payload \x27{"order_id":&}\x27 source shop/' | redis >/dev/null
}
redis XGROUP CREATE orders workers 0 MKSTREAM >/dev/null
produce 1 $((N / 2))
redis XREADGROUP GROUP workers worker-1 COUNT 20 STREAMS orders '>' >/dev/null
redis XREADGROUP GROUP workers worker-2 COUNT 50 STREAMS orders '>' >/dev/null

pipeline <<'YAML'
source:
  redis_stream: { url: '${env:REDIS_URL}', stream: orders, group: workers, field: payload, id: entry, claim_idle: 500ms }
flow: { concurrency: 50 }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.order_id}', expect: json, into: .order }
  - jq: '{id: .order_id, entry, total: ([.order.items[] | .qty * .price] | add)}'
sink: { batch: { items: 16, period: 5ms }, sqlite: { path: out.db, table: orders } }
YAML
for i in 1 2; do
	start_run
	sleep "0.$((RANDOM % 15 + 10))"
	[ "$i" != 2 ] || produce $((N / 2 + 1)) $N
	kill -KILL "$started_pid" 2>/dev/null || true
	wait "$started_pid" 2>/dev/null || true
done
run
expect_code 0
expect_sql "SELECT count(*), count(DISTINCT id), min(id), max(id), count(DISTINCT entry) FROM orders" "$N|$N|1|$N|$N"
expect_summary ".read == $N and .succeeded == $N"
expect test "$(redis XPENDING orders workers | head -n 1)" = 0

# What cannot be an order is a dead letter; the rest goes on.
redis XADD orders '*' payload 'no JSON' >/dev/null
redis XADD orders '*' other '{"order_id":1}' >/dev/null
redis XADD orders '*' payload "{\"order_id\":$((N + 1))}" >/dev/null
run
expect_code 3
expect_summary ".read == $((N + 3)) and .succeeded == $((N + 1)) and .dead == 2"
weir dead export state
expect_out 'field payload is not JSON'
expect_out 'the entry has no field payload'
expect test "$(redis XPENDING orders workers | head -n 1)" = 0

# What it looks at it does not take.
redis XADD orders '*' payload '{"order_id":1}' >/dev/null
weir try pipeline.yaml
expect_code 0
expect_out order_id
expect test "$(redis XPENDING orders workers | head -n 1)" = 0

sed -i 's/^flow:/broker: memory\nflow:/' pipeline.yaml
weir check pipeline.yaml
expect_code 78
expect_err 'pipeline.yaml:3:9: memory forgets its items when the process ends, and redis_stream acknowledges'
