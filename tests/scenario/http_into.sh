# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `into` puts the answer into a field of the item and keeps the rest; an item without room for it is not sent.
mock
printf '%s\n' '{"id": 1, "answer": 0, "big": 12345678901234567890}' '{"id": 2, "got": 3}' '3' >items.jsonl
pipeline <<'YAML'
source: { jsonl: { path: items.jsonl } }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.id}', into: .answer }
  - http: { url: '${env:MOCK_URL}/text', expect: text, into: .got.text }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
stop_when: { dead: 0% }
YAML
run
expect_code 3
expect_lines 1 out.jsonl
expect grep -q '^{"id":1,"big":12345678901234567890,"answer":{"id":1,' out.jsonl
expect_json out.jsonl '(keys == ["answer", "big", "got", "id"]) and (.got.text | type == "string")'
expect_dead 2 '^(into: the item has no object for .got.text|template: nothing at .id)$'
expect test "$(mock_stat .requests)" = 3

pipeline <<'YAML'
source: { range: 1-2 }
steps:
  - http: { url: '${env:MOCK_URL}/text', into: '.a[0]' }
sink: { stdout: {} }
YAML
weir check pipeline.yaml
expect_code 78
expect_err 'pipeline.yaml:3:[0-9]+: into is ".a\[0\]"; expected the name of a field'
