# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A run that goes on and does not find its output as it left it says so, touches nothing, and goes on once all is back.
mock --latency 20ms
orders 400
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
broker: { sqlite: {} }
flow: { concurrency: 5 }
steps: [ http: { url: '${env:MOCK_URL}/orders/${.order_id}', expect: json }, jq: '{id}' ]
sink: { batch: { items: 8, period: 5ms }, jsonl: { path: out.jsonl } }
YAML
start_run
wait_until 10 test -s out.jsonl
wait_until 10 status_says '.succeeded >= 30'
kill -KILL "$started_pid"
wait "$started_pid" 2>/dev/null || true
cp out.jsonl kept.jsonl

refused() {
	weir run pipeline.yaml --state state
	[ "$CODE" != 0 ] || fail "it went on"
	expect_err "$1"
	expect_err '--adopt'
}
truncate -s 20 out.jsonl
refused 'out.jsonl was truncated or replaced'
expect test "$(stat -c %s out.jsonl)" = 20
tr 0-9 a-j <kept.jsonl >out.jsonl
refused 'out.jsonl was replaced or changed'
rm out.jsonl
refused 'out.jsonl is missing'
expect test ! -e out.jsonl

# What stands behind the last ack, a torn line included, is nobody's.
cp kept.jsonl out.jsonl
printf '{"id": 99' >>out.jsonl
run
expect_code 0
expect_lines 400 out.jsonl
jq .id out.jsonl | sort -n | expect diff <(seq 400) -
