# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Behind PgBouncer, which gives each transaction another session: with `prepared: false` runs that are killed leave each
# row there once, with a key and without; a bad row is found in a transaction.
N=2000
mock --latency 5ms
start_postgres
orders $N
folder=$(cat postgres/data)
port=$(cat postgres/port)
as_nobody=()
[ "$(id -u)" != 0 ] || as_nobody=(setpriv --reuid=nobody --regid=nogroup --clear-groups --)

# Another one may take a port that was free.
start_pooler() {
	pooler=$((20000 + (RANDOM * 32768 + RANDOM) % 12000))
	cat >"$folder/pgbouncer.ini" <<-INI
		[databases]
		weir = host=127.0.0.1 port=$port dbname=weir user=weir password=canary-pg-secret
		[pgbouncer]
		listen_addr = 127.0.0.1
		listen_port = $pooler
		unix_socket_dir =
		auth_type = any
		pool_mode = transaction
		default_pool_size = 3
	INI
	(cd / && exec "${as_nobody[@]}" /usr/sbin/pgbouncer -q "$folder/pgbouncer.ini") >pooler.log 2>&1 &
	pids+=($!)
	pooler_pid=$!
	until psql -X -q "postgres://me@127.0.0.1:$pooler/weir" -c 'SELECT 1' >/dev/null 2>&1; do
		kill -0 "$pooler_pid" 2>/dev/null || return 1
		sleep 0.05
	done
}
start_pooler || start_pooler || start_pooler || fail "pgbouncer does not start: $(cat pooler.log)"

postgres sql "CREATE TABLE plain (id bigint CHECK (id <> 1333)); CREATE TABLE keyed (id bigint PRIMARY KEY CHECK (id <> 1333))"
for table in plain 'keyed, key: id'; do
	pipeline <<-YAML
		source: { jsonl: { path: orders.jsonl } }
		flow: { concurrency: 20 }
		steps: [ http: { url: '\${env:MOCK_URL}/orders/\${.order_id}', expect: json }, jq: '{id}' ]
		sink: { batch: { items: 16, period: 5ms }, postgres: { url: 'postgres://me@127.0.0.1:$pooler/weir', prepared: false, table: $table } }
		dead_letter: { jsonl: { path: dead.jsonl } }
	YAML
	rm -rf state dead.jsonl
	for _ in 1 2 3; do
		start_run
		sleep "0.$((RANDOM % 20 + 10))"
		kill -KILL "$started_pid" 2>/dev/null || true
		wait "$started_pid" 2>/dev/null || true
	done
	run
	expect_code 3
	expect_dead 1 '\(23514\)'
	expect_pg "SELECT count(*), count(DISTINCT id), max(id) FROM ${table%%,*}" "$((N - 1))|$((N - 1))|$N"
done
