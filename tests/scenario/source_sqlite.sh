# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Rows of a table are the items, each once however often a run is killed; and what is found out is written back into them.
N=2000
sqlite3 shop.db "CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT, qty);
	WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $N)
	INSERT INTO orders SELECT i * 10, iif(i % 2, 'new', 'old'), i FROM n"

enrich() {
	pipeline <<YAML
source: { sqlite: { path: shop.db, $1, key: id, page: 50 } }
broker: { sqlite: {} }
steps: [ { jq: '${3:-.}' } ]
sink: { batch: { items: 16, period: 5ms }, $2 }
YAML
}

killed_until_done() {
	local i
	rm -rf state
	for i in 1 2 3 4 5 6; do
		start_run
		sleep "0.$((RANDOM % 20 + 5))"
		kill -KILL "$started_pid" 2>/dev/null || true
		wait "$started_pid" 2>/dev/null || true
	done
	run
	expect_code 0
}

# Into the rows themselves, with two new columns.
enrich "table: orders, where: \"state = 'new'\"" 'sqlite: { path: shop.db, table: orders, key: id, update: true, alter: true }' \
	'{total: (.qty * 2), seen: true}'
weir check pipeline.yaml
expect_code 0
killed_until_done
expect_summary ".total == $((N / 2)) and .total_exact"
expect_sql 'SELECT count(*), count(total), sum(total = 2 * qty), sum(seen) FROM orders' \
	"$N|$((N / 2))|$((N / 2))|$((N / 2))" shop.db

# A query, to lines: each row once.
enrich 'query: "SELECT id, qty FROM orders WHERE qty > 100"' 'jsonl: { path: out.jsonl }' '{id}'
killed_until_done
expect_lines $((N - 100)) out.jsonl
expect test "$(sort -u out.jsonl | wc -l)" = $((N - 100))

# What is there since then is read by the next run.
sqlite3 shop.db "INSERT INTO orders VALUES (99999, 'new', 7000, NULL, NULL)"
run
expect_code 0
expect_lines $((N - 99)) out.jsonl

# New rows in the table that is read would be read again; and mistakes are told before anything is done.
enrich 'table: orders' 'sqlite: { path: shop.db, table: orders, key: id }'
weir check pipeline.yaml
expect_refused 'pipeline.yaml:4:[0-9]+' 'table orders of shop.db; name another table, or only'
enrich 'query: "SELECT * FROM orders; DELETE FROM orders"' 'stdout: {}'
weir check pipeline.yaml
expect_refused 'pipeline.yaml:1:[0-9]+' "the query contains a ';'"
enrich 'table: orders, query: "SELECT 1"' 'stdout: {}'
weir check pipeline.yaml
expect_refused 'pipeline.yaml:1:[0-9]+' 'name a table or a query, not both'
enrich 'table: nothing' 'stdout: {}'
weir run pipeline.yaml --fresh=discard
expect test "$CODE" != 0
expect_err 'no such table: nothing'
