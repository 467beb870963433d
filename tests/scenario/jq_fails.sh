# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# jq errors are final, `empty` drops, several outputs are several rows; all are in the accounts.
printf '{"n": %d}\n' 1 2 3 4 >orders.jsonl
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
broker: { memory: {} }
steps:
  - jq: 'if .n == 1 then empty elif .n == 2 then error("no twos") elif .n == 3 then ({n: 31}, {n: 32}) else . end'
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
run
expect_code 3
expect_lines 3 out.jsonl
expect_json out.jsonl 'map(.n) | sort == [4, 31, 32]'
expect_summary '.read == 4 and .succeeded == 2 and .dropped == 1 and .dead == 1 and .retries == 0'
expect_dead 1 'jq.*no twos'
