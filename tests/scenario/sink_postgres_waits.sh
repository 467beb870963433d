# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A table that is locked, a server that is gone, sessions that are ended, a row that is bad: the run waits as long as it
# takes, says that the sink holds it up, and goes on by itself; the bad row is a dead letter.
mock --latency 50ms
start_postgres
orders 3000
postgres sql 'CREATE TABLE orders (id bigint PRIMARY KEY CHECK (id <> 1234), total numeric)'
pipeline_orders 'flow: { concurrency: 20 }'
sed -i "s|^sink:.*|sink: { postgres: { url: '\${env:PG_URL}', table: orders, key: id }, batch: { items: 50 } }|" pipeline.yaml
locks() {
	[ "$(postgres sql "SELECT count(*) FROM pg_locks WHERE NOT granted")" -gt 0 ]
}
has_rows() {
	[ "$(postgres sql 'SELECT count(*) FROM orders')" -ge "$1" ]
}
start_run
wait_until 20 has_rows 300
mkfifo lock
PGPASSWORD=canary-pg-secret psql -X -q "$PG_URL" <lock >/dev/null 2>&1 &
pids+=("$!")
exec 8>lock
echo 'BEGIN; LOCK orders;' >&8
wait_until 20 locks
wait_until 20 status_says '.flow.why == "sink"'
"$WEIR" status state | grep -q 'limited by the sink' || fail "status does not name the sink"
echo 'COMMIT;' >&8
exec 8>&-
wait_until 20 has_rows 800
postgres sql "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'weir/%'" >/dev/null
wait_until 20 has_rows 1600
postgres stop
wait_until 20 status_says '.flow.why == "sink"'
wait_until 30 grep -q 'sink: cannot connect to PostgreSQL .*; trying again until it works' stderr
expect kill -0 "$started_pid"
postgres start
finish
expect_code 3
expect_summary '.succeeded == 2999 and .dead == 1'
expect_err 'sink: works again'
expect_dead 1 'sink: postgres: new row for relation "orders" violates check constraint .* \(23514\)'
expect_pg 'SELECT count(*) FROM orders' 2999
! grep -rq canary-pg-secret stdout stderr state summary.json dead.jsonl || fail "the password is somewhere"
