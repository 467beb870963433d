# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# How long items of a class wait for their first attempt is counted, and how many waited longer than they should.
mock --latency 10ms
{
	seq 1 100 | jq -c '{n: ., urgency: 0}'
	seq 101 200 | jq -c '{n: ., urgency: 5}'
	seq 201 210 | jq -c '{n: .}'
} >orders.jsonl
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.n}' }
flow: { concurrency: 2, priority: { field: .urgency, sla: { 0: 1m, 5: 100ms, 7: 1s } } }
sink: { jsonl: { path: out.jsonl } }
YAML
run
expect_code 0
expect_summary '[.flow.classes[] | .class, .sla_s, .begun] == [0, 60, 100, 5, 0.1, 100, 7, 1, 0]'
expect_summary '[.flow.classes[].late] | .[0] == 0 and .[1] >= 90 and .[2] == 0'
expect_summary '.flow.classes | .[0].wait_max_ms < .[1].wait_max_ms and .[1].wait_p50_ms > 100'

# A rate's line counts, too: it is the call that is to begin in time.
sed -i 's/concurrency: 2/pattern: rate, rate: 50\/s/; s/0: 1m/0: 1s/' pipeline.yaml
rm -rf state out.jsonl
run
expect_code 0
expect_summary '.flow.classes[0] | .begun == 100 and .late >= 40 and .late <= 90'

# In words, at the end, on a terminal.
rm -rf state out.jsonl
CODE=0
script -qec "$WEIR run pipeline.yaml --state state" /dev/null >stdout || CODE=$?
expect_code 0
expect_out '^  class 0: [0-9]+ of 100 began later than 1s; the longest wait was [0-9.]+ s'

for sla in '{ -1: 2s }' '{ x: 2s }' '{ 0: 2 }' '{ 0: 0s }' 2s '[2s]'; do
	sed "s/sla: {[^}]*}/sla: $sla/" pipeline.yaml >wrong.yaml
	weir check wrong.yaml
	expect_refused 'wrong.yaml:[0-9]+:[0-9]+' expected
done
weir check --explain pipeline.yaml
expect_out '^      7: 1s$'
