# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What is urgent goes first, of what is in memory; with aging nobody waits for ever; items without a class come last.
mock --latency 5ms
{
	seq 1 150 | jq -c '{n: ., urgency: 3}'
	seq 151 160 | jq -c '{n: .}'
	seq 161 180 | jq -c '{n: ., urgency: 0}'
	seq 181 190 | jq -c '{n: ., urgency: "high"}'
} >orders.jsonl
for broker in memory sqlite; do
	pipeline <<YAML
source: { jsonl: { path: orders.jsonl } }
broker: { $broker: {} }
steps:
  - http: { url: '\${env:MOCK_URL}/orders/\${.n}' }
flow: { concurrency: 1, priority: { field: .urgency, aging: 1h } }
sink: { jsonl: { path: out.jsonl } }
YAML
	rm -rf state out.jsonl
	run
	expect_code 0
	expect_lines 190 out.jsonl
	# All that was urgent is through before the last of the others, but for the few that were taken before it was read.
	expect_json out.jsonl '[to_entries[] | select(.value.id > 160 and .value.id <= 180) | .key] | max < 60'
	expect_json out.jsonl '[to_entries[] | select((.value.id > 150 and .value.id <= 160) or .value.id > 180) | .key] | min >= 165'
done
