# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A key that comes twice in an object: the last one counts, in templates, requests, jq, order_by and rows.
mock
cat >items.jsonl <<'JSON'
{"id": 1, "k": "a", "id": 2, "in": {"x": [1], "x": [2]}}
{"id": 3, "k": "a"}
JSON
pipeline <<'YAML'
source: { jsonl: { path: items.jsonl } }
steps:
  - http:
      url: '${env:MOCK_URL}/echo?id=${.id}'
      method: POST
      body: '${.}'
  - jq: '{echo: (.body | fromjson), source: $source}'
flow: { order_by: .id }
sink: { jsonl: { path: out.jsonl } }
YAML
run
expect_code 0
expect_json out.jsonl 'sort_by(.source.id) | map(.source) == [{id: 2, k: "a", in: {x: [2]}}, {id: 3, k: "a"}]'
expect_json out.jsonl 'map(.source == .echo) | all'

# As it is written on, too.
rm -rf state out.jsonl
pipeline <<'YAML'
source: { jsonl: { path: items.jsonl } }
sink: { jsonl: { path: out.jsonl } }
YAML
run
expect_code 0
expect grep -qxF '{"k":"a","id":2,"in":{"x":[2]}}' out.jsonl
expect grep -qxF '{"id": 3, "k": "a"}' out.jsonl
