# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Back-pressure all the way: while the sink's table is locked the source is not read on, and memory does not grow.
pipeline <<'YAML'
source: { range: 1-200000 }
steps: [ jq: '{id: ., text: ("x" * 200)}' ]
sink: { sqlite: { path: out.db, table: rows, key: id, columns: [id, text] } }
YAML
sqlite3 out.db 'PRAGMA journal_mode=WAL; CREATE TABLE rows(id PRIMARY KEY NOT NULL, text);' >/dev/null
mkfifo lock
sqlite3 out.db <lock >/dev/null &
pids+=($!)
exec 8>lock
echo 'BEGIN IMMEDIATE;' >&8
start_run
wait_until 10 status_says '.read > 0'
stands_still() {
	read_then=$(status_of .read)
	sleep 1
	[ "$(status_of .read)" = "$read_then" ]
}
wait_until 20 stands_still
sleep 2
expect stands_still
expect test "$read_then" -lt 200000
echo 'COMMIT;' >&8
exec 8>&-
finish
expect_code 0
expect_summary '.succeeded == 200000 and .source_stalled_s > 2 and .peak_rss_bytes < 64000000'
expect_rows 200000 out.db rows
