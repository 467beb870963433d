# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A line of 200 MB: one dead letter, in bounded memory.
{
	echo '{"n": 1}'
	head -c 200000000 /dev/zero | tr '\0' x
	echo
	echo '{"n": 3}'
} >orders.jsonl
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
broker: { memory: {} }
sink: { jsonl: { path: out.jsonl } }
steps: [ jq: '{n}' ]
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
run
rm orders.jsonl
expect_code 3
expect_lines 2 out.jsonl
expect_json dead.jsonl '.position == 2'
expect_summary '.peak_rss_bytes < 64000000'
