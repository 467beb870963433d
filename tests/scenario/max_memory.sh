# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Large answers and a limit on memory: fewer at once, and all of them.
mock --latency 100ms
pipeline <<'YAML'
source: { range: 1-120 }
broker: { memory: {} }
steps:
  - http: { url: '${env:MOCK_URL}/json/2000000?n=${.}', expect: text }
  - jq: { program: '{bytes: length}', timeout: 60s, workers: 2 }
flow: { concurrency: 120 }
sink: { jsonl: { path: out.jsonl } }
YAML
run
expect_code 0
expect_lines 120 out.jsonl
free=$(jq .peak_rss_bytes summary.json)
sed -i 's/concurrency: 120/concurrency: 120, max_memory: 96MiB/' pipeline.yaml
rm -f out.jsonl
run
expect_code 0
expect_lines 120 out.jsonl
# The figure adds the peaks of weir and of its largest child, which were at different times, and on a busy machine a look
# comes late.
[ "$free" -gt 220000000 ] || fail "without a limit it takes $free bytes, which tests nothing"
expect_summary '.peak_rss_bytes < 190000000'
