# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The retry of an item that has an order waits in memory, and a kill forgets none of its attempts all the same; those
# behind it still come after it.
mock --fault /orders/1=status/500
printf '{"n": 1, "customer": 7}\n{"n": 2, "customer": 7}\n' >orders.jsonl
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.n}' }
flow:
  order_by: .customer
  retry: { attempts: 4, backoff: 1500ms..1500ms, jitter: none }
stop_when: { dead: 0% }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
two_attempts() {
	[ "$(mock_stat .requests)" = 2 ]
}
start_run
wait_until 5 two_attempts
wait_until 5 status_says '.retries == 2'
sleep 0.2 # until it is on the disk
kill_run
run
expect_code 3
expect_dead 1 'status: 500'
expect jq -e '.attempts == 4' dead.jsonl
expect_lines 1 out.jsonl
expect test "$(mock_stat .requests)" = 5 # 4 of the first, 1 of the second
