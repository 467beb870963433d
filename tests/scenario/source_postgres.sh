# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Rows of a real PostgreSQL are the items: each once, though the run is killed 20 times and the server once.
N=5000
start_postgres
postgres sql "CREATE TABLE orders AS SELECT i AS id, 'c-' || i AS customer, i * 1.25 AS total
	FROM generate_series(1, $N) i; ALTER TABLE orders ADD PRIMARY KEY (id)" >/dev/null

pipeline <<'YAML'
source: { postgres: { url: '${env:PG_URL}', table: orders, key: id, page: 100 } }
broker: { sqlite: {} }
steps: [ { jq: '{id, total}' } ]
sink: { batch: { items: 16, period: 5ms }, jsonl: { path: out.jsonl } }
YAML
for i in $(seq 20); do
	start_run
	sleep "0.0$((RANDOM % 9 + 1))"
	[ "$i" != 10 ] || postgres kill
	kill -KILL "$started_pid" 2>/dev/null || true
	wait "$started_pid" 2>/dev/null || true
	[ "$i" != 10 ] || postgres start >/dev/null
done
run
expect_code 0
expect_lines $N out.jsonl
jq -c '[.id, .total]' out.jsonl | sort | uniq | wc -l >distinct
[ "$(cat distinct)" = $N ] || fail "$(cat distinct) different rows of $N"
expect_pg "SELECT count(*) FROM pg_stat_activity WHERE application_name LIKE 'weir%'" 0

# No secret anywhere.
expect test "$(grep -rc canary-pg-secret stdout stderr state 2>/dev/null | awk -F: '{ n += $2 } END { print n + 0 }')" = 0

# What cannot be a source is told before the first item.
sed -i 's/key: id/key: nothing/' pipeline.yaml
weir run pipeline.yaml --fresh=discard
expect test "$CODE" != 0
expect_err 'nothing does not exist'
