# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A jq program that loops for ever on one item: that one is a dead letter, the others of its batch are rows.
mock
orders 40
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
broker: { memory: {} }
steps:
  - jq: { program: 'def f: f; if .order_id == 7 then f else {id: .order_id, total: 1} end', timeout: 500ms }
sink: { sqlite: { path: out.db, table: orders, key: id, columns: [id, total] } }
dead_letter: { jsonl: { path: dead.jsonl } }
flow: { concurrency: 20, retry: { attempts: 3, backoff: 5ms..10ms } }
YAML
run
expect_code 3
expect_rows 39
expect_summary '.dead == 1 and .succeeded == 39'
expect_dead 1 'jq.*(time|limit|500)'
expect_json dead.jsonl '.item.order_id == 7'
