# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A state that release 0.1.0 left, in its format, resumes: accounts, attempts, dead letters and their history.
mock
mkdir -m 0700 state
sqlite3 state/state.db <"$TREE/tests/support/format_1.sql"
cat >pipeline.yaml <<'YAML'
name: old
source: { range: 1-60 }
steps:
  - jq: 'if . % 10 == 0 then error("no tens: \(.)") else {n: ., s: (if . % 7 == 0 then 503 else 200 end)} end'
  - http: { url: '${env:MOCK_URL}/status/${.s}', expect: text }
  - jq: '{n: $source}'
flow: { concurrency: 1, breaker: off, retry: { attempts: 2, backoff: 5ms..10ms } }
stop_when: { dead: 0% }
sink: { jsonl: { path: out.jsonl } }
YAML
seq 60 | awk '$1 % 7 && $1 % 10' | sed 's/.*/{"n":&}/' >out.jsonl

# Where it stands can be told without a change.
cp state/state.db before
weir status state
expect_code 0
expect_out '^state: stopped, 51 of 60 done, 5 failed; the same weir run resumes it$'
expect cmp before state/state.db

# Looking into it brings it up to date, and changes nothing else.
weir dead export state
expect_code 0
expect_json stdout 'length == 5 and all(.[]; .group) and ([.[] | select(.position == 10) | .history | length] == [1])'
[ "$(sqlite3 state/state.db 'PRAGMA user_version')" = 3 ] || fail "it has another format"
weir dead state
expect_out '^[0-9a-f]{8} +5 +100 %'
weir state verify state
expect_code 0
expect_out '^  unfinished +9$'

# Those that had failed once have one try left; the replayed one dies again, for the second time.
run
expect_code 3
expect_summary '.resumed and .read == 60 and .succeeded == 46 and .dead == 14 and .attempts == 9'
expect_lines 46 out.jsonl
weir dead export state
expect_json stdout '[.[] | select(.reason == "status: 503")] | length == 8 and all(.[]; .attempts == 2)'
weir dead export state
expect_json stdout '[.[] | select(.position == 20) | .history | length] == [1]'
weir state verify state
expect_code 0
