# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The dead letters of a running pipeline: through its control socket; replayed ones are taken at once.
mock --latency 50ms
{
	seq 1 20 | sed 's/.*/{"order_id": &}/'
	printf '%s\n' '{"no_id": 1}' '{"no_id": 2}' 'not json'
	seq 21 400 | sed 's/.*/{"order_id": &}/'
} >orders.jsonl
pipeline_orders 'flow: { concurrency: 5 }'
sed -i '/^dead_letter/d' pipeline.yaml
start_run
wait_until 10 status_says '.dead == 3'
weir dead ls state
expect_code 0
expect test "$(wc -l <stdout)" = 4
expect_out 'not JSON'
weir dead export state --reason 'nothing at'
expect_json stdout 'length == 2 and all(.[]; .item.no_id)'
weir dead replay state --reason 'nothing at'
expect_out '^2 items will be replayed by the running pipeline'
expect status_says '.dead == 1'
weir dead purge state --reason 'not JSON'
expect_out '^1 dead letter'

# Up to its end and beyond: who asks gets an answer, from the run or from what it leaves.
while kill -0 "$started_pid" 2>/dev/null; do
	"$WEIR" dead export state >letters 2>letters.err || fail "dead export: $(cat letters.err)"
done
finish
expect_code 3
expect_summary '.read == 403 and .succeeded == 400 and .dead == 3 and .letters == 2'
weir dead export state
expect_json stdout 'length == 2 and all(.[]; .item.no_id and (.history | length) == 1)'
