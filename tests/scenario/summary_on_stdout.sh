# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# --summary - writes the totals to stdout, --quiet says nothing else.
pipeline <<'YAML'
source: { range: 1-10 }
broker: { memory: {} }
steps: [ jq: '{n: .}' ]
sink: { jsonl: { path: out.jsonl } }
YAML
weir run pipeline.yaml --state state --summary - --quiet
expect_code 0
expect_json stdout '.read == 10 and .exit_code == 0'
expect test ! -s stderr
