# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir bench` over real sockets: a mock that it starts, and the user's own URLs.
weir bench patterns --quick --jobs 300 --no-recovery --json a.json
expect_code 0
expect_json a.json '.mode == "real sockets, weir mock" and (.rows | length) == 6'
expect_json a.json 'all(.rows[]; .jobs == 300 and .note == null)'
expect_json a.json 'all(.rows[]; .failed == .errors_5xx and .failed >= 2 and .failed <= 40)'
expect_json a.json 'all(.rows[]; .service_p50_s > 0.1 and .service_p50_s < 1)'
expect_json a.json 'all(.rows[]; .per_sec < 1.1 * .bound_whole_per_sec)' # more than the bound cannot be
expect_json a.json 'all(.rows[] | select(.pattern != "auto"); .per_sec > 0.3 * .bound_whole_per_sec)'
expect_json a.json 'all(.rows[]; .cpu_seconds > 0 and .peak_bytes_above_idle > 0)'

# An upstream that goes away is seen as connections that break, and comes back.
weir bench patterns --quick --jobs 300 --only queue --latency 10ms..50ms --seed 770123 --json b.json
expect_code 0
expect_json b.json '.rows[0] | .recovery_jobs_hit > 10 and .recovery_share_saved > 0.5'

# Own URLs: private ones only when that is wanted; what fails is counted by its cause.
mock --latency 5ms
for i in 1 2 3 4 5 6 7 8; do echo "$MOCK_URL/text/$i"; done >urls.txt
echo "$MOCK_URL/status/503" >>urls.txt
echo "$MOCK_URL/status/404" >>urls.txt
weir bench patterns --urls urls.txt --only queue
expect_code 64
expect_err 'urls.txt:1: 127.0.0.1 is a loopback or private address; --allow-private'
weir bench patterns --urls urls.txt --allow-private --json d.json
expect_code 0
expect_json d.json '[.rows[].pattern] == ["queue", "semaphore", "rate", "chunked", "auto"]' # naive only if asked for
expect_json d.json 'all(.rows[]; .jobs == 10 and .errors_5xx == 1 and .errors_4xx == 1 and .published_per_sec == null)'
weir bench patterns --urls urls.txt --allow-private --duration 1s --only queue --only semaphore --json e.json
expect_code 0
expect_json e.json '.rows[0] | .took_s >= 1 and .took_s < 5 and .jobs > 100'
expect_json e.json '.rows[1] | .jobs == 10 and (.note | test("each URL once"))'
# Of a rate, too, the time is what was asked for, and nothing waits in a queue of the bench's own.
weir bench patterns --urls urls.txt --allow-private --duration 1s --only rate --json g.json
expect_code 0
expect_json g.json '.rows[0] | .took_s >= 1 and .took_s < 2 and .response_p50_s < 0.5'
echo 'ftp://example.org/' >bad.txt
weir bench patterns --urls bad.txt
expect_code 64
expect_err 'bad.txt:1'

# What cannot be written is said before anything is run.
weir bench patterns --urls urls.txt --allow-private --csv no/such/folder.csv
expect_code 74
expect_err 'cannot write .*folder.csv'
[ ! -s stdout ] || fail "it was run"

# Fewer descriptors than connections: it lowers the number, and says so.
CODE=0
(
	ulimit -n 200
	exec "$WEIR" bench patterns --quick --jobs 400 --only naive --no-recovery --json f.json >stdout 2>stderr
) || CODE=$?
expect_code 0
expect_out 'naive: 136 connections instead of 400: ulimit -n allows no more'
expect_json f.json '.rows[0] | .jobs == 400 and .errors_connect == 0 and .errors_5xx == .failed'

# Nothing of it is left, also when it is ended in the middle.
mock_of_bench() {
	pgrep -f 'weir mock --listen .* --seed 770123' >left
}
no_mock_of_bench() {
	! mock_of_bench
}
wait_until 5 no_mock_of_bench
start "$WEIR" bench patterns --quick --jobs 10000 --only queue --seed 770123 --csv left.csv
wait_until 5 mock_of_bench
kill -TERM "$started_pid"
finish
expect_code 143
[ ! -e left.csv ] || fail "an empty file is left"
wait_until 5 no_mock_of_bench
