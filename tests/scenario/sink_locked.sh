# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Another program has locked the database for half a minute: the run waits, nothing fails, nothing is lost.
mock
orders 500
pipeline_orders 'flow: { concurrency: 20 }'
sqlite3 out.db 'PRAGMA journal_mode=WAL; CREATE TABLE orders(id PRIMARY KEY NOT NULL, total)' >/dev/null
mkfifo lock
sqlite3 out.db <lock >/dev/null 2>&1 &
pids+=("$!")
exec 8>lock
echo 'BEGIN IMMEDIATE; INSERT INTO orders VALUES (-1, 0);' >&8
is_locked() {
	! sqlite3 out.db 'BEGIN IMMEDIATE; ROLLBACK'
}
wait_until 5 is_locked
start_run
# Opening writes nothing to a table that is there, so the run gets going; then the sink is stuck.
wait_until 10 test -S state/ctl
for _ in 1 2 3 4 5 6; do
	sleep 5
	expect_rows 0
	expect kill -0 "$started_pid"
done
echo 'COMMIT;' >&8
exec 8>&-
finish
expect_code 0
expect_rows 501
expect_summary '.succeeded == 500 and .dead == 0'
