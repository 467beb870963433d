# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# One item that waits for its retry holds up the rows of all others: a bounded number of them is fetched meanwhile, and
# the reason is shown.  The order is a part of what a run does.
mock --fault /orders/1=once/status/500
orders 2000
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.order_id}' }
  - jq: '{id}'
flow:
  concurrency: 20
  retry: { backoff: 2s, jitter: none }
sink: { jsonl: { path: out.jsonl }, order: source, batch: { items: 20 } }
YAML
held() {
	status_says '.flow.why == "order of the sink"'
}
start_run
wait_until 5 held
expect test "$(mock_stat .requests)" -lt 500
expect test ! -s out.jsonl
finish
expect_code 0
jq -c .id out.jsonl >ids
expect cmp ids <(seq 2000)
sed -i 's/order: source/order: completion/' pipeline.yaml
run
expect_code 78
expect_err 'it was "sink.order: source", now it is "sink.order: completion"'
sed -i 's/order: completion/order: sorted/' pipeline.yaml
weir check pipeline.yaml
expect_code 78
expect_err 'completion.*source'
