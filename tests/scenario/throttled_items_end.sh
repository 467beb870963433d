# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# One URL that is answered 429 for ever, among others that are served: it comes to an end, as a record or a dead letter
# that says so, and nobody claims that the server said when to come back.
mock --latency 5ms
{
	echo "$MOCK_URL/text/1"
	echo "$MOCK_URL/status/429"
	seq 2 30 | sed "s,.*,$MOCK_URL/text/&,"
} >urls.txt
"$WEIR" get -i urls.txt -o got.jsonl --allow-private --throttled 2s 2>got.err &
got=$!
pids+=("$got")
pipeline <<'YAML'
source: { lines: { path: urls.txt } }
steps:
  - http: { url: '${.}', expect: text }
flow: { retry: { attempts: 3, throttled: 2s } }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
start_run --allow-private
wait_until 10 status_says '.succeeded == 30 and .flow.throttled >= 3 and .eta_s == null'
expect status_says '.flow.why != "rate limit (Retry-After)"'
blames_429() {
	weir status state
	expect_out 'answers 429 (without Retry-After|to the remaining items)'
}
wait_until 3 eval '(blames_429)'
finish
expect_code 3
expect_lines 30 out.jsonl
expect_dead 1 '^status: 429; throttled for [0-9]+ s, while http://127.0.0.1:[0-9]+ (served others|had no other calls)$'
expect_summary '.wall_s < 20 and .refused >= 3'
expect test "$(grep -c 'come back later' stderr)" = 0

CODE=0
wait "$got" || CODE=$?
expect_code 3
expect_json got.jsonl 'length == 31 and ([.[] | select(.ok)] | length == 30)'
expect_json got.jsonl '[.[] | select(.status == 429)] | length == 1 and (.[0].error | test("^status: 429; throttled for"))'
