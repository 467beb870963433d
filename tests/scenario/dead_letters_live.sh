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
mv stderr run.err
weir dead ls --state state
expect_code 0
expect test "$(wc -l <stdout)" = 4
expect_out 'not JSON'
weir dead export --state state --reason no_id
expect_json stdout 'length == 2 and all(.[]; .item.no_id)'
weir dead replay --state state --reason no_id
expect_out '^2 items go again with the run that is alive'
wait_until 10 status_says '.dead == 3'
weir dead export --state state --reason no_id
expect_json stdout 'all(.[]; .history | length == 1)'
weir dead purge --state state --reason 'not JSON'
expect_out '^1 dead letter'
kill -TERM "$started_pid"
finish
expect_code 5
weir dead ls --state state
expect test "$(wc -l <stdout)" = 3
