# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A jq program that eats memory on one item: its child dies at its limit, the item is a dead letter, the run goes on.
mock
orders 40
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
broker: { memory: {} }
steps:
  - jq:
      program: 'if .order_id == 7 then [range(1e9)] | length else 1 end | {id: ., total: .}'
      timeout: 20s
      memory: 128MiB
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
flow: { concurrency: 20, retry: { attempts: 3, backoff: 5ms..10ms } }
YAML
run
expect_code 3
expect_lines 39 out.jsonl
expect_dead 1 'jq.*(died|memory)'
expect_json dead.jsonl '.item.order_id == 7'
expect_summary '.peak_rss_bytes < 400000000'
