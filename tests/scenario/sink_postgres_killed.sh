# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Runs into PostgreSQL that are killed at any moment and go on, the server killed in between: each row once, with a key, in
# a table that the run makes, and without a key by the ledger.
N=6000
killed_until_done() {
	local i
	pipeline <<YAML
source: { jsonl: { path: orders.jsonl } }
flow: { concurrency: 20 }
steps: [ http: { url: '\${env:MOCK_URL}/orders/\${.order_id}', expect: json }, jq: '{id}' ]
sink: { batch: { items: 16, period: 5ms }, postgres: { url: '\${env:PG_URL}', $1 } }
YAML
	rm -rf state
	start_run
	wait_until 20 status_says ".pid == $started_pid and .succeeded > 300"
	postgres kill
	postgres start
	for i in 1 2 3 4 5 6; do
		sleep "0.$((RANDOM % 20 + 10))"
		kill -KILL "$started_pid" 2>/dev/null || true
		wait "$started_pid" 2>/dev/null || true
		start_run
	done
	finish
	expect_code 0
	expect_summary ".read == $N and .succeeded == $N"
}
mock --latency 5ms
start_postgres
orders $N

postgres sql 'CREATE TABLE plain (id bigint)'
killed_until_done 'table: plain'
expect_pg 'SELECT count(*), count(DISTINCT id), min(id), max(id) FROM plain' "$N|$N|1|$N"
expect_pg 'SELECT count(*) FROM weir_ledger' "$N"

killed_until_done 'table: keyed, key: id'
expect_pg 'SELECT count(*), count(DISTINCT id), min(id), max(id) FROM keyed' "$N|$N|1|$N"
