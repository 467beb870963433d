# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# 30 URLs that always answer 500, before 100 good ones of the same host, with the settings that there are by default: the
# breaker opens and learns that the host is well; all the good ones are served, the bad ones fail with their own status.
mock --latency 100ms
{
	seq 30 | sed "s,.*,$MOCK_URL/status/500?&,"
	seq 100 | sed "s,.*,$MOCK_URL/text/&,"
} >urls.txt
"$WEIR" get -i urls.txt -o got.jsonl --allow-private --quiet 2>got.err &
got=$!
pids+=("$got")
pipeline <<'YAML'
source: { lines: { path: urls.txt } }
steps:
  - http: { url: '${.}', expect: text }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
run --allow-private
expect_code 3
expect_summary '.succeeded == 100 and .dead == 30 and .wall_s < 30'
expect_dead 30 '^status: 500$'
CODE=0
wait "$got" || CODE=$?
expect_code 3
expect_json got.jsonl '[.[] | select(.ok)] | length == 100'
expect_json got.jsonl '[.[] | select(.ok | not)] | length == 30 and all(.status == 500 and .error == "status: 500")'
