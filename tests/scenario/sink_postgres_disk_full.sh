# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The server's disk is full, from the start of a run or for a while: the run says so, ends when it is told to, and goes
# on by itself when there is room.
mock --latency 20ms
start_postgres
orders 2000
postgres sql "CREATE TABLE orders (id bigint, total numeric); CREATE TABLE \"full\" AS SELECT 1;
	CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS \$\$ BEGIN
	IF EXISTS (SELECT FROM \"full\") THEN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100';
	END IF; RETURN NULL; END \$\$; CREATE TRIGGER f BEFORE INSERT ON orders EXECUTE FUNCTION f();
	CREATE FUNCTION g() RETURNS event_trigger LANGUAGE plpgsql AS \$\$ BEGIN
	IF EXISTS (SELECT FROM \"full\") THEN RAISE 'could not extend file: No space left on device' USING ERRCODE = '53100';
	END IF; END \$\$; CREATE EVENT TRIGGER g ON ddl_command_start EXECUTE FUNCTION g()"
pipeline_orders 'flow: { concurrency: 10 }'
sed -i "s|^sink:.*|sink: { postgres: { url: '\${env:PG_URL}', table: orders }, batch: { items: 50 } }|" pipeline.yaml

told() {
	[ "$(grep -c 'disk full: cannot write to table orders; the run waits until there is room' stderr)" = "$1" ]
}

# The ledger cannot be created.
start_run
wait_until 20 status_says '.degraded and .flow.why == "disk full"'
wait_until 20 told 1
kill -TERM "$started_pid"
finish
expect_code 74 # as a run that is stopped while its disk is full
expect_pg "SELECT to_regclass('weir_ledger') IS NULL, (SELECT count(*) FROM orders)" 't|0'

start_run
wait_until 20 told 1
postgres sql 'TRUNCATE "full"'
wait_until 20 status_says '.written > 0 and (.degraded | not)'
postgres sql 'INSERT INTO "full" DEFAULT VALUES'
wait_until 20 status_says '.degraded and .flow.why == "disk full"'
wait_until 20 told 2
"$WEIR" status state >shown
expect grep -q 'disk full' shown
expect kill -0 "$started_pid"
postgres sql 'TRUNCATE "full"'
finish
expect_code 0
expect_summary '.succeeded == 2000'
expect_pg 'SELECT count(*), count(DISTINCT id) FROM orders' '2000|2000'
