# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What the steps before have got is kept for the steps that got it: a later step may be changed, they may not.
mock --latency /orders=1ms
orders 5
# The first step's request, and the path that the second one calls.
memo_pipeline() {
	pipeline <<YAML
source: { jsonl: { path: orders.jsonl } }
steps:
  - http: { url: '\${env:MOCK_URL}/orders/\${.order_id}', $1 }
  - http: { url: '\${env:MOCK_URL}$2', into: .more }
flow: { breaker: off, retry: { attempts: 100, backoff: 10ms..10s } }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
}
# Once the second step has failed for each of the items.
stop_after_attempts() {
	start_run
	wait_until 5 status_says ".attempts >= $1"
	kill -TERM "$started_pid"
	finish
	expect_code 5
}
expect_calls() {
	expect test "$(mock_stat '.paths["/orders"]')" = "$1"
}

memo_pipeline 'method: POST' /status/500
stop_after_attempts 5
memo_pipeline 'method: POST' /echo
run --adopt
expect_code 0
expect_lines 5 out.jsonl
expect_calls 5

rm -rf state out.jsonl
memo_pipeline 'method: POST' /status/500
stop_after_attempts 5
memo_pipeline 'method: PUT' /echo
run --adopt
expect_code 0
expect_lines 5 out.jsonl
expect_calls 15

rm -rf state out.jsonl
memo_pipeline 'method: POST, memo: false' /status/500
stop_after_attempts 10
expect test "$(mock_stat '.paths["/orders"]')" -ge 25
memo_pipeline 'method: POST' /status/500 # a run may resume with another value of it
stop_after_attempts 1
