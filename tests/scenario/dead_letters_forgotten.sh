# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What is purged is gone from the state's files, and they become smaller; of a running run, too.
mock --latency 100ms
seq 1 5000 | sed 's/.*/{"card":"4111-c4n4ry-&"}/' >in.jsonl
cat >pipeline.yaml <<'YAML'
source: { jsonl: { path: in.jsonl } }
steps: [ { jq: 'if .card then error("a card") else . end' }, { http: { url: '${env:MOCK_URL}/orders/${.n}' } } ]
stop_when: { dead: 0% }
flow: { concurrency: 2 }
sink: { jsonl: { path: out.jsonl } }
YAML
canaries() {
	cat state/state.db* | strings | grep -c 'c4n4ry' || true
}
run
expect_code 3
[ "$(canaries)" -ge 5000 ] || fail "the letters are not there: $(canaries)"
weir dead purge state --all
expect_out '^5000 dead letters deleted$'
[ "$(canaries)" = 0 ] || fail "$(canaries) payloads are left"
[ "$(stat -c %s state/state.db)" -lt 200000 ] || fail "state.db has $(stat -c %s state/state.db) bytes"

rm -r state
seq 1 20 | sed 's/.*/{"n":&}/' >>in.jsonl
start_run
wait_until 20 status_says '.dead == 5000 and .read == 5020'
weir dead purge state --reason card
expect_code 0
expect_out '^5000 dead letters deleted$'
[ "$(canaries)" = 0 ] || fail "$(canaries) payloads are left while the run is alive"
finish
expect_code 3
expect_summary '.succeeded == 20 and .dead == 5000 and .letters == 0'
weir state verify state
expect_code 0
