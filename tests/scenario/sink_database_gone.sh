# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# An SQLite sink that was removed, put back from an older copy, whose table was dropped, or whose log lost a commit to a
# flipped bit: the next run says so instead of "done" with rows missing.  So it is when the state is the older one.
pipeline_of() {
	rm -rf state out.db*
	pipeline <<YAML
source: { jsonl: { path: orders.jsonl } }
steps: [ { jq: '{id: .order_id}' } ]
sink: { sqlite: { path: out.db, table: t, ${1}columns: [id] }, batch: { items: 50 } }
YAML
	orders 400
	run
	cp out.db older.db
	cp -r state older
	more 800
	run
	expect_rows 800 out.db t
}
more() {
	seq $(($1 - 399)) "$1" | sed 's/.*/{"order_id": &}/' >>orders.jsonl
}
refused() {
	run
	expect_code 78
	expect_err "$1"
	more 1200
	run
	expect_code 78
	orders 800
}

for key in '' 'key: id, '; do
	pipeline_of "$key"
	mv out.db newest.db
	refused 'out.db is missing'
	cp older.db out.db
	refused 'table t in out.db has lost rows'
	cp newest.db out.db
	sqlite3 out.db 'DROP TABLE t'
	refused 'table t in out.db is missing'
	cp newest.db out.db
	mv state newest
	cp -r older state
	refused 'the state is older than its sink'
	rm -rf state
	mv newest state
	cat >>orders.jsonl <<<'{"order_id": 801}'
	run
	expect_code 0
	expect_rows 801 out.db t
	rm -rf older newest
done

# One flipped bit in a log that a kill has left: SQLite drops that commit and all behind it, without an error.
for log in out.db-wal state/state.db-wal; do
	rm -rf state out.db*
	orders 12000
	sed -i '/^flow/d' pipeline.yaml
	sed -i 's/key: id, //' pipeline.yaml
	echo 'flow: { rate: 8000/s }' >>pipeline.yaml
	start_run
	wait_until 10 status_says '.succeeded > 4000'
	kill_run
	size=$(stat -c %s "$log")
	printf '\x5a' | dd of="$log" bs=1 seek=$((size / 5)) conv=notrunc status=none
	run
	[ "$CODE" != 0 ] || expect_sql 'SELECT count(*), count(DISTINCT id) FROM t' '12000|12000'
	[ "$CODE" = 0 ] || expect_code 78
	[ "$CODE" = 0 ] || expect_err 'older|lost rows'
done
