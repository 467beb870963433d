# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A text with a NUL in it would be a text cut short in SQLite: that item is a dead letter with the reason, and it does
# not spoil the others of its batch.
pipeline <<'YAML'
source: { jsonl: { path: in.jsonl } }
sink: { sqlite: { path: out.db, table: t, key: id, columns: [id, text] } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
for i in $(seq 1 40); do
	printf '{"id":%d,"text":"a\\u0000b%d"}\n{"id":%d,"text":"plain"}\n' "$i" "$i" $((i + 100))
done >in.jsonl
run
expect_code 3
expect_dead 40 'NUL'
expect_summary '.succeeded == 40 and .dead == 40'
expect_rows 40 out.db t
expect_sql "SELECT count(*) FROM t WHERE text = 'plain' AND id > 100" 40
