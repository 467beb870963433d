# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A submit and two workers send their spans to one receiver: each item has one trace and one tree, also if it was
# attempted again by the other worker.  The machine has one history of them, which stays when they have ended.
start_redis
start_server otlp_receiver
mock --latency 5ms --errors 25%
orders 300
fleet_orders 'flow: { concurrency: 20, rate: 250/s, breaker: off, retry: { backoff: 10ms..50ms, budget: 100% } }' \
	"observe: { otlp: { url: '$SERVER', traces: 20%, metrics: 0 } }"
sed -i "s/jq: .*/jq: 'if .id % 30 == 0 then error(\"no\") else {id, total: 1} end'/" pipeline.yaml
fleet_work one
one=$work_pid
fleet_work two
weir submit pipeline.yaml
expect_code 3
work_ends "$one" 3
work_ends "$work_pid" 3
"$TREE/tests/support/otlp_trees" >trees || fail "the spans are not as they should be: $(cat trees)"
# Those that needed retries are all there, the others in part.
expect_json trees '.retried > 40 and .complete == .retried and .moved > 10 and .dead >= 10'
expect_json trees '.traces > .retried and .traces < 250 and .processes == 2'
[ ! -s wrong.log ] || fail "the receiver found: $(head -n 3 wrong.log)"

# Counted by one at a time, but for the last look of each.
weir history --json --step 1s pipeline.yaml
expect_code 0
expect_json stdout '.rows | length > 0 and ([.[][1]] | add) <= length + 3'
expect_json stdout '[.rows[][3]] | add | . > 0 and . <= 300'
expect_json stdout '[.rows[][7]] | add > 0' # attempts, which a worker has
expect test "$(ls .weir/pipeline)" = history
weir state rm pipeline.yaml --discard
expect_code 0
expect test ! -e .weir/pipeline
