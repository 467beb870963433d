# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# 404 is final, 503 is tried again, a redirect is not followed unless `follow` says so.
mock
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
broker: { memory: {} }
steps:
  - http: { url: '${env:MOCK_URL}/status/${.code}', expect: text }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
flow: { concurrency: 1, retry: { attempts: 3, backoff: 5ms..10ms } }
YAML
printf '{"code": %d}\n' 200 404 503 302 >orders.jsonl
run
expect_code 3
expect_lines 1 out.jsonl
expect_dead 3 '^status: (404|503|302)'
expect_json dead.jsonl '[.[] | select(.item.code == 503)][0].attempts == 3'
expect_json dead.jsonl '[.[] | select(.item.code != 503)] | all(.attempts == 1)'
