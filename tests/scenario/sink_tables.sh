# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Tables as they are: made of the first rows, filled by their own columns, and the same however often a run is killed.
N=3000
seq $N | sed 's/.*/{"id": &, "name": "n&", "total": &.5, "tags": [&]}/; s/^{"id": 2,/{"extra": true, "id": 2,/' >in.jsonl

write() {
	pipeline <<YAML
source: { jsonl: { path: in.jsonl } }
broker: { sqlite: {} }
steps: [ { jq: . } ]
sink: { batch: { items: 16, period: 5ms }, sqlite: { path: out.db, table: $1 } }
YAML
}

# It is killed while the table is made, grows and is full.
killed_until_done() {
	local i
	rm -rf state
	write "$1"
	for i in 1 2 3 4 5; do
		start_run
		sleep "0.$((RANDOM % 20 + 5))"
		kill -KILL "$started_pid" 2>/dev/null || true
		wait "$started_pid" 2>/dev/null || true
	done
	run
	expect_code 0
}

for table in 'plain' 'keyed, key: id'; do
	killed_until_done "$table"
	name=${table%%,*}
	expect_sql "SELECT count(*), count(DISTINCT id), sum(total), count(extra), min(tags) FROM $name" \
		"$N|$N|$((N * (N + 1) / 2 + N / 2)).0|1|[1000]"
	expect_sql "SELECT group_concat(name || ' ' || lower(type), ', ') FROM
		(SELECT * FROM pragma_table_info('$name') WHERE name <> 'extra')" \
		'id bigint, name text, total numeric, tags text'
done

# It says which types it chose; later fields are left out, told once, until alter adds them.
rm -rf state out.db
write 'said'
run
expect_err 'table said: created with the columns (extra boolean, )?id bigint, name text, total numeric, tags text'
seq 3 | sed 's/.*/{"id": 1000&, "late": "l&"}/' >>in.jsonl
run
expect_code 0
expect test "$(grep -c 'field left out, without a column (`alter: true` adds one): late' stderr)" = 1
write 'said, alter: true'
seq 3 | sed 's/.*/{"id": 2000&, "late": "l&"}/' >>in.jsonl
run
expect_code 0
expect_sql 'SELECT count(*), count(late) FROM said' "$((N + 6))|3"

# The columns of a table that is there; a row that does not fit is a dead letter, and the others are written.
sqlite3 out.db "CREATE TABLE own (id INTEGER PRIMARY KEY, made TEXT DEFAULT 'now', total NUMERIC CHECK (total > 0))"
printf '%s\n' '{"id": 1, "total": 5}' '[1]' '{"id": 2, "total": -1}' '{"id": 3, "total": 12345678901234567890.5}' \
	'{"id": 9007199254740993, "total": 0.1}' >in.jsonl
rm -rf state
write 'own, key: id'
run
expect_code 3
expect_sql "SELECT id, made, total FROM own" '1|now|5
9007199254740993|now|0.1'
weir dead export state
for why in 'the output is not an object, so it has no fields' 'sqlite: CHECK constraint failed' \
	'field total has more digits than a column for numbers keeps; declare it TEXT'; do
	expect_json stdout "[.[] | select(.reason | test(\"$why\"))] | length == 1"
done
