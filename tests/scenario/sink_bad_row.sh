# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# One row that the table cannot take: a dead letter, the rest of its batch is written.
printf '{"id": %s, "total": 1}\n' 1 2 null 4 5 >orders.jsonl
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
broker: { memory: {} }
steps: [ jq: . ]
sink: { sqlite: { path: out.db, table: orders, key: id, columns: [id, total] } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
run
expect_code 3
expect_rows 4
expect_summary '.succeeded == 4 and .dead == 1'
expect_dead 1 'id|key'
