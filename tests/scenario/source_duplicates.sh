# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The same line several times in the source: each is an item with an account of its own; under a key there is one row.
mock
{
	seq 1 50 | sed 's/.*/{"order_id": &}/'
	seq 1 50 | sed 's/.*/{"order_id": &}/'
	for _ in $(seq 20); do echo '{"order_id": 7}'; done
} >orders.jsonl
pipeline_orders 'flow: { concurrency: 20 }'
run
expect_code 0
expect_summary '.read == 120 and .succeeded == 120 and .attempts == 120'
expect_rows 50
expect test "$(mock_stat .requests)" -ge 120

# Without a key each has a row.
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.order_id}' }
  - jq: '{id}'
sink: { jsonl: { path: out.jsonl } }
YAML
rm -rf state
run
expect_code 0
expect_lines 120 out.jsonl
expect_json out.jsonl '[.[] | select(.id == 7)] | length == 22'
