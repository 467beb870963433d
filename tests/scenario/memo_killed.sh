# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Two steps that call an upstream, and the second fails three times of four: killed many times, weir makes no call of
# the first again but those that were in flight at a kill.
mock --latency /orders=1ms --latency /echo=10ms --errors /echo=75%
orders 100
KILLS=6 IN_FLIGHT=4
pipeline <<YAML
source: { jsonl: { path: orders.jsonl } }
steps:
  - http: { url: '\${env:MOCK_URL}/orders/\${.order_id}', method: POST }
  - jq: '{id}'
  - http: { url: '\${env:MOCK_URL}/echo?id=\${.id}', method: POST, into: .echo }
flow:
  pattern: queue
  concurrency: $IN_FLIGHT
  breaker: off
  retry: { attempts: 1000, backoff: 5ms..20ms, budget: 100% }
sink: { jsonl: { path: out.jsonl } }
YAML
for _ in $(seq "$KILLS"); do
	start_run
	wait_until 5 status_says '.attempts >= 20'
	kill_run
done
run
expect_code 0
expect_lines 100 out.jsonl
expect test "$(jq .id out.jsonl | sort -u | wc -l)" = 100
expect test "$(mock_stat '.paths["/echo"]')" -gt 250 # or this says nothing
expect test "$(mock_stat '.paths["/orders"]')" -ge 100
expect test "$(mock_stat '.paths["/orders"]')" -le $((100 + KILLS * IN_FLIGHT))
