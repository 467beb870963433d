# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Sinks whose names end in .gz and .zst: runs that are killed leave each row once, and any reader unpacks the whole.
N=1000
killed_until_done() {
	local i
	pipeline <<YAML
source: { jsonl: { path: orders.jsonl } }
broker: { sqlite: {} }
flow: { concurrency: 10 }
steps: [ http: { url: '\${env:MOCK_URL}/orders/\${.order_id}', expect: json }, jq: '{id}' ]
sink: { batch: { items: 16, period: 5ms }, $1 }
YAML
	rm -rf state
	for i in 1 2; do
		start_run
		sleep "0.$((RANDOM % 20 + 15))"
		kill -KILL "$started_pid" 2>/dev/null || true
		wait "$started_pid" 2>/dev/null || true
	done
	run
	expect_code 0
}
mock --latency 5ms
orders $N
seq $N >ids

killed_until_done 'jsonl: { path: out.jsonl.gz }'
zcat out.jsonl.gz | jq .id | sort -n | expect diff ids -
python3 -c 'import gzip; print(gzip.open("out.jsonl.gz").read().decode(), end="")' | expect cmp - <(zcat out.jsonl.gz)

printf 'id,total\n0,' | gzip >out.csv.gz
killed_until_done 'csv: { path: out.csv.gz, columns: [id, total], on_start: append }'
zcat out.csv.gz | sed '1,2d; s/,$//' | sort -n | expect diff ids -

killed_until_done 'jsonl: { path: out.jsonl.zst }'
pipeline <<'YAML'
source: { jsonl: { path: out.jsonl.zst } }
sink: { jsonl: { path: plain.jsonl } }
YAML
rm -rf state
run
expect_code 0
jq .id plain.jsonl | sort -n | expect diff ids -
