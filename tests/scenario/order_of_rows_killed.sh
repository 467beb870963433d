# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Rows in the order of the source: answers come in any order, some fail at first, some for good, some items are dropped,
# and the run is killed three times.  At any moment the file is the beginning of what it is to be.
mock --latency 10ms..300ms --errors 2% --fault /orders/77=status/404
orders 5000
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.order_id}' }
  - jq: 'select(.id % 10 != 3) | {id}, {id, again: true}'
flow:
  concurrency: 400
  retry: { attempts: 20, backoff: 20ms..100ms }
stop_when: { dead: 0% }
sink:
  jsonl: { path: out.jsonl }
  batch: { items: 50 }
  order: source
YAML
seq 5000 | grep -vx 77 | grep -v '3$' | sed 's/.*/{"id":&}\n{"id":&,"again":true}/' >expected.jsonl
lines() {
	test "$(wc -l <out.jsonl)" -ge "$1"
}
in_order() {
	expect cmp -n "$(stat -c %s out.jsonl)" out.jsonl expected.jsonl
}
for n in 1000 3000 6000; do
	start_run
	wait_until 10 lines "$n"
	kill_run
	in_order
done
start_run
wait_until 10 lines 7500
kill -TERM "$started_pid"
finish
expect_code 5
in_order
run
expect_code 3
expect cmp out.jsonl expected.jsonl
expect_summary '.dead == 1 and .dropped == 500 and .unfinished == 0'
