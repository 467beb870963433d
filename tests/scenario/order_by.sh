# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Items of one customer go one after the other, in the order of the source; others pass them.
mock --latency 2ms..40ms
seq 1 300 | jq -c '{n: ., customer: {id: (. % 7)}}' >orders.jsonl
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps:
  - http:
      url: '${env:MOCK_URL}/echo?n=${.n}'
      method: POST
      body: '{"n": ${.n}, "customer": ${.customer.id}}'
  - jq: '.body | if type == "string" then fromjson else . end'
flow: { concurrency: 50, order_by: .customer.id }
sink: { jsonl: { path: out.jsonl } }
YAML
run
expect_code 0
expect_lines 300 out.jsonl
in_order='group_by(.customer) | length == 7 and all(.[]; [.[].n] == ([.[].n] | sort))'
expect_json out.jsonl "$in_order"
expect_json out.jsonl '[.[].n] != ([.[].n] | sort)'

# Without it they pass each other.
sed -i 's/, order_by: .customer.id//' pipeline.yaml
rm -rf state out.jsonl
run
expect_code 0
expect_json out.jsonl "$in_order | not"
