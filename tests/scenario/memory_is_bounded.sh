# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Ten times as many items need no more memory.
pipeline_of() {
	pipeline <<YAML
source: { range: 1-$1 }
broker: { memory: {} }
steps: [ jq: '{n: .}' ]
sink: { jsonl: { path: out.jsonl, on_start: replace } }
YAML
}
pipeline_of 20000
run
expect_code 0
expect_lines 20000 out.jsonl
few=$(jq .peak_rss_bytes summary.json)
pipeline_of 200000
run
expect_code 0
expect_lines 200000 out.jsonl
many=$(jq .peak_rss_bytes summary.json)
[ $((many * 100)) -le $((few * 115)) ] || fail "peak memory grew from $few to $many bytes"
