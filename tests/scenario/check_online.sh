# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What a run would find is told without a run: what is there, what would be created, what is missing and how to mend it,
# who does not answer.  Nothing is sent and nothing is written.
mock
start_postgres
orders 30

kept() {
	find . -type f ! -name 'std*' ! -path './postgres/*' ! -name '*.log' -exec cksum {} + | sort
}
online() {
	kept >before.log
	weir check --online --state state pipeline.yaml
	kept >after.log
	expect cmp before.log after.log
	expect_code "$1"
	[ ! -s stderr ] || fail "it complains"
	[ "$(awk 'length > 80' stdout)" = '' ] || fail "a line of more than 80 columns"
	! grep -q canary stdout || fail "a password is shown"
	tr -s ' \n' '  ' <stdout >words
}
expect_words() {
	grep -qE -- "$1" words || fail "no such words: $1"
}
# Accepts and says nothing.
python3 -c '
import socket, time
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
open("mute.port", "w").write(str(s.getsockname()[1]))
time.sleep(60)' &
pids+=("$!")
wait_until 20 test -s mute.port
MUTE=127.0.0.1:$(cat mute.port)
export MUTE

pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.order_id}', expect: json }
  - jq: '{id, total: ([.items[] | .qty * .price] | add)}'
sink: { postgres: { url: '${env:PG_URL}', table: orders, key: id } }
dead_letter: { sqlite: { path: dead.db, table: dead } }
YAML
online 0
expect_out '^state: a new run$'
expect_out '^source jsonl: orders.jsonl$'
expect_out "^step 1 http: connected to $MOCK_URL$"
expect_words 'sink postgres: table orders at weir@127.0.0.1:[0-9]+/weir, which a run creates'
expect_out '^dead letters sqlite: table dead at dead.db, which a run creates$'

# The table lacks something; without a key, too; and a privilege.
postgres sql 'CREATE TABLE orders (id int, total numeric)'
online 78
expect_words 'error: .*; make it unique: CREATE UNIQUE INDEX ON "public"."orders" \("id"\)'
postgres sql "CREATE UNIQUE INDEX orders_id_idx ON orders (id); CREATE ROLE reader LOGIN PASSWORD 'canary-reader';
	GRANT ALL ON SCHEMA public TO reader"
online 0
expect_words '2 of its 2 columns are filled'
url=$PG_URL
PG_URL=postgres://reader:canary-reader@${PG_URL#*@}
sed -i 's/, key: id//' pipeline.yaml
online 78
expect_words 'permission denied for table orders \(42501\); grant it: GRANT SELECT, INSERT ON "public"."orders"'
PG_URL=$url
online 0
expect_words '; a run creates weir_ledger, too'

expect_pg "SELECT string_agg(relname, ' ' ORDER BY 1) FROM pg_class WHERE relnamespace = 'public'::regnamespace" \
	'orders orders_id_idx'

# Who says nothing and who is not there, all at the same time.
sed -i 's|^steps:|&\n  - http: { url: "https://${env:MUTE}/${.id}", timeout: { connect: 1s } }|
	s|^source.*|source: { postgres: { url: "postgres://${env:MUTE}/x?connect_timeout=1", table: t, key: id } }|
	s|^dead_letter.*|dead_letter: { postgres: { url: "postgres://127.0.0.1:1/x", table: t } }|' pipeline.yaml
online 69
expect_words 'source postgres: error: cannot connect to PostgreSQL as .*: no answer in time'
expect_words 'step 1 http: error: https://[0-9.:]+: timeout: '
expect_words 'dead letters postgres: error: .*: Connection refused'

[ "$(mock_stat .requests)" = 0 ] || fail "a request was sent"

# A pipe is left alone; a database that cannot be written is told.
mkfifo pipe
sqlite3 out.db 'CREATE TABLE orders (id)'
pipeline <<'YAML'
source: { jsonl: { path: pipe } }
steps: [ { jq: '{id}' } ]
sink: { sqlite: { path: out.db, table: orders, on_start: append } }
YAML
online 0
expect_out '^source jsonl: pipe is no file, and was not tried$'
expect_out '^sink sqlite: table orders at out.db, 1 of its 1 columns is filled$'

# What an earlier run has left decides; one that is at work is not disturbed.
sed -i 's/path: pipe/path: orders.jsonl/; s/jq: .*/jq: "{id: .order_id}" } ]/' pipeline.yaml
run
expect_code 0
online 0
expect_out '^state: resumes a run: 30 items done, 0 unfinished$'
sqlite3 out.db 'DROP TABLE orders'
online 78
expect_words 'sink sqlite: error: table orders in out.db is missing, with 1 batches'
sed -i 's/order_id/other/' pipeline.yaml
online 78
expect_words 'state: error: the pipeline has changed since the run began'
expect_out '^sink sqlite: not tried, because of the state$'
exec 8<>state/lock
flock 8
online 69
expect_out '^state: error: the state folder state is in use by another weir'
