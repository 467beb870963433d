# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Credentials that are refused for a while in the middle of a run: the items wait, which is said, and do not drain into
# dead letters.  When they are refused for longer than stop_when.denied, the run ends with exit code 6 and can be resumed.
mock --latency 5ms --outage 500ms..2500ms:401
orders 2000
flow='flow: { concurrency: 10, breaker: { open: 500ms..1s } }'
pipeline_orders "$flow"
start_run
wait_until 10 status_says '.flow.why == "denied (check the credentials)" and .flow.breaker != "closed"'
wait_until 10 grep -aqE '"note".*answers 401 to [0-9]+ of the last [0-9]+ calls: check the credentials' stderr
weir status state
expect_out '^  ! .* answers 401 to .* calls: check the credentials'
expect_out 'answers 401 to [0-9]+ of the last [0-9]+ calls: check the credentials; items wait, next probe (in|now)'
finish
expect_code 3
expect_summary '.succeeded + .dead == 2000 and .dead >= 1 and .dead <= 40'
expect_dead "$(jq .dead summary.json)" '^status: 401$'
expect_err 'is back'
expect_oracle --key order_id=id

mock_stop
mock --latency 5ms --outage 200ms..1h:403
rm -rf state out.db dead.jsonl
pipeline_orders "$flow" 'stop_when: { denied: 2s }'
run --quiet
expect_code 6
expect_summary '.dead <= 40 and .unfinished > 500 and .state == "stopped"'
expect_err '^weir: pipeline.yaml: stopped: http://127.0.0.1:[0-9]+ denies every call .stop_when: denied.; check the credentials'
expect_oracle --key order_id=id

# In a list a page that is forbidden has its record, however many there are; so have statuses that the step calls good.
seq 60 | sed "s,.*,$MOCK_URL/status/403?&," >urls.txt
weir get -i urls.txt -o got.jsonl --allow-private
expect_code 3
expect_json got.jsonl 'length == 60 and all(.status == 403 and .attempts == 1)'
rm -rf state out.db dead.jsonl
pipeline <<'YAML'
source: { lines: { path: urls.txt } }
steps:
  - http: { url: '${.}', expect: text, ok: [200, 403] }
sink: { jsonl: { path: out.jsonl } }
YAML
run --allow-private
expect_code 0
expect_lines 60 out.jsonl
