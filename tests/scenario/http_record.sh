# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `record` gives what `weir get` writes, here into a field of the item; a failure is a dead letter with its answer.
mock
printf '{"code": %d}\n' 200 404 500 >items.jsonl
pipeline <<'YAML'
source: { jsonl: { path: items.jsonl } }
steps:
  - http: { url: '${env:MOCK_URL}/status/${.code}', record: true, into: .got, ok: [200, 404], expect: text }
  - jq: '{code, got: (.got | del(.latency_ms, .body, .bytes))}'
flow: { concurrency: 1, retry: { attempts: 2, backoff: 5ms..10ms } }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
stop_when: { dead: 0% }
YAML
run
expect_code 3
expect_json out.jsonl 'map(.code) == [200, 404] and (map(.got.status) == [200, 404])'
expect_json out.jsonl 'map(.got | [.ok, .attempts, .error, (.url | test("/status/"))]) | unique == [[true, 1, null, true]]'
expect_dead 1 '^status: 500'
expect_json dead.jsonl '.evidence.status == 500 and .evidence.answer != null'

echo "$MOCK_URL/orders/1" >urls.txt
weir get -i urls.txt --allow-private -o got.jsonl
expect_code 0
expect_json got.jsonl 'keys_unsorted == ["url", "status", "ok", "latency_ms", "bytes", "attempts", "error", "body"]'
