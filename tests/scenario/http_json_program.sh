# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# json as a text is a jq program: its one output is the body; an item for which it has another number of outputs is a dead
# letter, and nothing is sent for it.
mock
printf '%s\n' '{"id": 1, "tags": ["a", "b"]}' '{"id": 12345678901234567890, "tags": []}' '{"id": 3}' '{"id": 4, "tags": [1]}' >in.jsonl
pipeline <<'YAML'
source: { jsonl: in.jsonl }
broker: { memory: {} }
steps:
  - jq: 'if .id == 4 then {id, tags: 5} else . end'
  - http:
      url: ${env:MOCK_URL}/echo
      method: POST
      json: 'select(.tags) | {n: .id, was: $source.id, at: $meta.position, tags: (.tags | join(","))}'
sink: { jsonl: out.jsonl }
dead_letter: { jsonl: dead.jsonl }
YAML
run
expect_code 3
expect grep -qF '\"n\":12345678901234567890,\"was\":12345678901234567890,\"at\":2,\"tags\":\"\"' out.jsonl
expect_json out.jsonl '[.[].body | fromjson | select(.at == 1)] == [{n: 1, was: 1, at: 1, tags: "a,b"}]'
expect_dead 2 '^json: (the program gives 0 outputs, expected one|jq: Cannot iterate over number \(5\))$'
expect test "$(mock_stat .requests)" = 2
