# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# An item that had attempts left says which limit has cut it short, and what it failed with before.
mock --outage 0s..1m
orders 100
pipeline_orders 'flow: { concurrency: 10, timeout: { total: 2s } }' 'stop_when: { dead: 0% }'
run
expect_code 3
expect_dead 100 '^timeout: flow.timeout.total, after (gate|status): '

rm -rf state dead.jsonl out.db
mock_stop
mock --errors 100%
orders 10
pipeline_orders 'flow: { breaker: off, retry: { backoff: 2s..2s, jitter: none, elapsed: 1s } }' 'stop_when: { dead: 0% }'
run
expect_code 3
expect_dead 10 '^timeout: flow.retry.elapsed, after status: 500'

# All attempts used up is no such thing.
rm -rf state dead.jsonl out.db
pipeline_orders 'flow: { breaker: off, retry: { attempts: 2, backoff: 5ms..5ms, elapsed: 1h }, timeout: { total: 1h } }' \
	'stop_when: { dead: 0% }'
run
expect_code 3
expect_dead 10 '^status: 500'
