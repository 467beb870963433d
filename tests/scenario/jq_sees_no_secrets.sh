# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The environment of jq is empty.
export SECRET=xyzzy
echo '{}' >orders.jsonl
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
broker: { memory: {} }
steps:
  - jq: '{n: (env | length), s: env.SECRET}'
sink: { jsonl: { path: out.jsonl } }
YAML
run
expect_code 0
expect_json out.jsonl '.n == 0 and .s == null'
