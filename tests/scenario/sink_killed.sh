# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Runs that are killed at any moment and go on: each row is in the sink once, whichever it is.
N=3000
killed_until_done() {
	local i
	pipeline <<YAML
source: { jsonl: { path: orders.jsonl } }
broker: { sqlite: {} }
flow: { concurrency: 20 }
steps: [ http: { url: '\${env:MOCK_URL}/orders/\${.order_id}', expect: json }, jq: '{id}' ]
sink: { batch: { items: 16, period: 5ms }, $1 }
YAML
	rm -rf state
	for i in 1 2 3 4 5 6; do
		start_run
		sleep "0.$((RANDOM % 30 + 20))"
		kill -KILL "$started_pid" 2>/dev/null || true
		wait "$started_pid" 2>/dev/null || true
	done
	run
	expect_code 0
}
mock --latency 5ms
orders $N
seq $N >ids

killed_until_done 'jsonl: { path: out.jsonl }'
expect_lines $N out.jsonl
jq .id out.jsonl | sort -n | expect diff ids -

printf 'id,total\n0,\n' >out.csv
killed_until_done 'csv: { path: out.csv, columns: [id, total], on_start: append }'
expect_lines $((N + 2)) out.csv
sed '1,2d; s/,$//' out.csv | sort -n | expect diff ids -

killed_until_done 'sqlite: { path: out.db, table: plain, columns: [id] }'
expect_sql 'SELECT count(*), count(DISTINCT id), min(id), max(id) FROM plain' "$N|$N|1|$N"

killed_until_done 'sqlite: { path: out.db, table: keyed, key: id }'
expect_sql 'SELECT count(*), count(DISTINCT id) FROM keyed' "$N|$N"
