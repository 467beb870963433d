# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The dead letters of a run that is alive: through its control socket; replayed ones are taken at once.
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
weir dead ls --state state
expect_code 0
expect test "$(wc -l <stdout)" = 4
expect_out 'not JSON'
weir dead export --state state --reason 'nothing at'
expect_json stdout 'length == 2 and all(.[]; .item.no_id)'
weir dead replay --state state --reason 'nothing at'
expect_out '^2 items go again with the run that is alive'
expect status_says '.dead == 1'
weir dead purge --state state --reason 'not JSON'
expect_out '^1 dead letter'
finish
expect_code 3
expect_summary '.read == 403 and .succeeded == 400 and .dead == 3 and .letters == 2'
weir dead export --state state
expect_json stdout 'length == 2 and all(.[]; .item.no_id and (.history | length) == 1)'
