# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What cannot be is told before the first item is read, within the time for connecting: where, as whom, and what to do.
mock
start_postgres
orders 10
port=${PG_URL##*:}
port=${port%%/*}

# refused CODE TEXT URL [KEYS]
refused() {
	pipeline <<YAML
source: { jsonl: { path: orders.jsonl } }
sink: { postgres: { url: "$3", table: t${4:-} } }
YAML
	rm -rf state
	run
	expect_code "$1"
	expect_err "$2"
	! grep -q 'canary' stderr stdout || fail "a password is shown: $(cat stderr)"
	[ ! -s summary.json ] || expect_summary '.read == 0'
}

# A server that accepts and says nothing.
mute() {
	python3 -c '
import socket, time
s = socket.socket()
s.bind(("127.0.0.1", 0))
s.listen()
open("mute.port", "w").write(str(s.getsockname()[1]))
time.sleep(60)' &
	pids+=($!)
	wait_until 10 test -s mute.port
}

refused 78 "as weir@127.0.0.1:$port/weir: password authentication failed .*check user and password" \
	"postgres://weir:canary-wrong@127.0.0.1:$port/weir"
refused 78 'database "nowhere" does not exist .*create the database' "${PG_URL%/*}/nowhere"
refused 69 '@127.0.0.1:1/x: Connection refused' 'postgres://me@127.0.0.1:1/x'
mute
refused 69 'no answer in time; check host and port' "postgres://me@127.0.0.1:$(cat mute.port)/x?connect_timeout=1"
postgres sql 'CREATE TABLE t (n int)'
refused 78 'table t has no column id; add it .ALTER TABLE t ADD COLUMN id' "$PG_URL" ', key: id'
postgres sql 'ALTER TABLE t ADD COLUMN id int'
refused 78 'make it unique: CREATE UNIQUE INDEX ON "public"."t" \("id"\)' "$PG_URL" ', key: id'
postgres sql 'ALTER DATABASE weir SET default_transaction_read_only = on'
refused 69 'it is a standby' "$PG_URL"

weir check pipeline.yaml
expect_err 'url is a secret in plain text'
sed -i "s|url: .*, table|url: 'postgres://me@db.example/x', table|" pipeline.yaml
weir check pipeline.yaml
expect_err 'add sslmode=verify-full'
! grep -q secret stderr || fail "a user is no secret"
