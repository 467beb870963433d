# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Large answers and a limit on memory: fewer at once, and all of them.
mock --latency 100ms
pipeline <<'YAML'
source: { range: 1-250 }
broker: { memory: {} }
steps:
  - http: { url: '${env:MOCK_URL}/json/1000000?n=${.}' }
  - jq: '{bytes: (tostring | length)}'
flow: { concurrency: 250 }
sink: { jsonl: { path: out.jsonl } }
YAML
run
expect_code 0
expect_lines 250 out.jsonl
free=$(jq .peak_rss_bytes summary.json)
sed -i 's/concurrency: 250/concurrency: 250, max_memory: 96MiB/' pipeline.yaml
rm -f out.jsonl
run
expect_code 0
expect_lines 250 out.jsonl
[ "$free" -gt 200000000 ] || fail "without a limit it takes $free bytes, which tests nothing"
expect_summary '.peak_rss_bytes < 150000000'
