# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir bench orders`: rows in a PostgreSQL that it starts, or is given, and nothing left of either.

# A server of its own, as long as this one is not stopped.  The folder of its files it names at the beginning.
folder_of() {
	sed -n 's/^weir bench: files are in \(.*\) until the end$/\1/p' "$1"
}
row_runs() {
	ls "$(folder_of own.err)"/*/state/lock
}
"$WEIR" bench orders --only queue --latency 5s --jobs 100000 >own.out 2>own.err &
own=$!
pids+=("$own")
wait_until 40 row_runs
folder=$(folder_of own.err)
{ read -r server && read -r _ && read -r _ && read -r port; } <"$folder/server/cluster/postmaster.pid"
PGPASSWORD=$(cat "$folder/server/password")
export PGPASSWORD # of the role weir
url=postgres://weir@127.0.0.1:$port/weir

# A server that it is given.  Each row has all orders in the table; what failed is counted by its cause.
weir bench orders --url "$url" --quick --jobs 120 --errors 10% --seed 4 --only queue --only copy --json a.json --html a.html
expect_code 0
expect_out 'the server of --url'
expect_out '^queue +120 +[0-9.]+ m?s +[0-9.]+ ms '
expect_json a.json '[.rows[].pattern] == ["queue", "copy"]'
expect_json a.json 'all(.rows[]; .jobs == 120 and .failed == .errors_5xx and .succeeded == 120 - .failed and .failed > 2)'
expect_json a.json '.rows[0] | .peak_bytes_above_idle > 1000000 and .cpu_seconds > 0 and .took_s > 0.02'
expect_json a.json '.rows[1] | .took_s > 0 and .bound_whole_per_sec == null and .peak_bytes_above_idle == null'
expect_json a.json '.rows[0].bound_whole_per_sec <= .rows[1].per_sec * 1.001' # COPY is the bound, too
expect grep -q '<td>copy</td>' a.html
expect [ ! -e "$(folder_of stderr)" ]

# Processes share the orders.  What Python needs and is not there is said.
mkdir without
echo 'raise ImportError(name="psycopg2")' >without/psycopg2.py
PYTHONPATH=$PWD/without weir bench orders --url "$url" --jobs 2 --latency 50ms --only processes --peers --json b.json
expect_code 0
expect_out '^processes: impossible under any distribution'
expect_json b.json '[.rows[] | [.by, .pattern, .succeeded]] == [["weir", "processes", 2],
	["python", "processes", null]]'
expect_json b.json '.rows[0].published_failed == 0.035 and .rows[0].bound_seconds == 0.05'
expect_json b.json '.rows[1].note == "missing psycopg2; install it (Debian: python3-psycopg2)"'
if python3 -c 'import psycopg2' 2>/dev/null; then
	weir bench orders --url "$url" --quick --jobs 100 --only threads --peers --json c.json
	expect_code 0
	# The server has room for fewer connections than there are threads: those are errors of the database.
	expect_json c.json '.rows[1] | .by == "python" and .succeeded + .errors_database == 100 and .cpu_seconds > 0
		and (.note | startswith("with "))'
fi

# So do those of a fleet, at a Redis that it starts.
weir bench orders --url "$url" --quick --jobs 200 --errors 10% --seed 4 --only streams --only fleet --json d.json
expect_code 0
expect_out '^streams: impossible under any distribution'
expect_json d.json '[.rows[] | [.pattern, .succeeded, .failed]] | .[0][1:] == .[1][1:] and .[0][0] == "streams"'
expect_json d.json 'all(.rows[]; .jobs == 200 and .failed == .errors_5xx and .succeeded == 200 - .failed and .failed > 5)'
expect [ ! -e "$(folder_of stderr)" ]

# A table that was made there is gone; a wrong server is told, without its password.
expect [ "$(psql -XAtc "SELECT count(*) FROM pg_tables WHERE tablename LIKE 'weir_bench%'" "$url")" = 1 ]
weir bench orders --url 'postgres://weir:canary-pg-secret@127.0.0.1:1/x' --quick
expect_code 69
expect_err '^weir bench: psql: .*127\.0\.0\.1.*refused'
if grep -rq canary-pg-secret stdout stderr; then fail "the password is shown"; fi

# Stopped in the middle: its server ends, too, and its folder goes.
gone() {
	! kill -0 "$server" && [ ! -e "$folder" ]
}
expect kill -0 "$server"
kill -TERM "$own"
wait_until 40 gone
