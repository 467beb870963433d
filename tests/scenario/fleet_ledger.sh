# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Rows without a key from several processes into one SQLite file: each is there once, although workers are killed between
# their rows and their acks.  What was in the table before is replaced once, by whoever comes first.
start_redis
mock --latency 5ms..20ms
orders 600
fleet_orders 'flow: { concurrency: 20, rate: 800/s, burst: 10 }'
sed -i "s/^sink:.*/sink: { exactly_once: required, batch: { items: 8, period: 5ms }, sqlite: { path: out.db, table: orders, columns: [id, total] } }/" pipeline.yaml
sqlite3 out.db "CREATE TABLE orders (id, total); INSERT INTO orders VALUES (0, 'old')"
run
expect_code 78
expect_err 'table orders in .*out.db has rows that this run has not written'
sed -i 's/table: orders,/& on_start: replace,/' pipeline.yaml
start "$WEIR" submit pipeline.yaml --quiet
submit=$started_pid
has_rows() {
	[ "$(sqlite3 -cmd '.timeout 5000' out.db 'SELECT count(*) FROM orders')" -gt "$1" ]
}
fleet_work one
kept=$work_pid
for n in 100 250 400; do
	fleet_work "killed$n"
	wait_until 20 has_rows "$n"
	kill -KILL "$work_pid"
	wait "$work_pid" 2>/dev/null || true
done
fleet_work last
work_ends "$work_pid" 0
work_ends "$kept" 0
started_pid=$submit
finish
expect_code 0
expect_sql 'SELECT count(*), count(DISTINCT id), min(id), max(id) FROM orders' '600|600|1|600'
expect_sql 'SELECT count(*) FROM weir_ledger_items' 600

# A run in its place has a ledger of its own.
orders 20
weir submit pipeline.yaml --fresh --detach --quiet
expect_code 0
weir work pipeline.yaml --quiet
expect_code 0
expect_sql 'SELECT count(*), max(id) FROM orders' '20|20'
expect_sql 'SELECT run, count(*) FROM weir_ledger_items GROUP BY run' $'1|600\n2|20'
