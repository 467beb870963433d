# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# error({retry: true}) in jq: the item is tried again from the request on whose answer it is, not before the time that the error states, and
# uses up an attempt; a dead letter has the reason of the last one.  Other errors stay final.
mock
pipeline <<'YAML'
source: { range: 1-3 }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.}' }
  - jq: |
      if $source == 2 and $meta.attempt == 1 then error({retry: true, after: 0.5, why: "not ready"})
      elif $source == 3 then error({retry: true, why: "never \(.id)"})
      else {id, attempt: $meta.attempt} end
flow: { retry: { attempts: 2, backoff: 1ms } }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
began=${EPOCHREALTIME/./}
run
expect test $((${EPOCHREALTIME/./} - began)) -ge 500000
expect_code 3
expect_json out.jsonl 'sort_by(.id) == [{id: 1, attempt: 1}, {id: 2, attempt: 2}]'
expect_dead 1 '^jq: never 3$'
expect_json dead.jsonl '.attempts == 2'
expect test "$(mock_stat .requests)" = 5
