# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What is known of the last http step: $meta in jq, ${meta.…} in the templates of a later step.
mock
pipeline <<'YAML'
source: { range: 1-3 }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.}' }
  - jq: '.items[:2][] | {sku}'
  - http: { url: '${env:MOCK_URL}/echo?s=${meta.status}', method: POST, json: { sku: '${.sku}', type: '${meta.headers.["content-type"]}' } }
  - jq: '.'
  - jq: '{sent: (.body | fromjson), path} + {meta: $meta}'
sink: { jsonl: { path: out.jsonl } }
YAML
run
expect_code 0
expect_json out.jsonl 'all(.[]; .path == "/echo?s=200" and .sent.type == "application/json")'
expect_json out.jsonl 'all(.[]; .meta | .status == 200 and (.url | test("/echo")) and (.latency_ms | type == "number") and .attempt == 1)'
expect_json out.jsonl 'all(.[]; .meta.headers | has("content-length") and has("content-type") and all(.[]; type == "string"))'
expect_json out.jsonl '[.[].meta.position] | unique == [1, 2, 3]'
