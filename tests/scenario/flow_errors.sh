# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What makes no sense in `flow` is refused where it stands, by check and by run, and nothing is sent.
mock
orders 3
good() {
	cat <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps:
  - http: { url: 'http://127.0.0.1:9/orders/${.order_id}' }
    concurrency: 3
flow:
  pattern: queue
  concurrency: 5
  rate: 100/s
sink: { jsonl: { path: out.jsonl } }
YAML
}
refused() {
	good | sed -E "$3" | sed "s,http://127.0.0.1:9,$MOCK_URL," >bad.yaml
	weir check bad.yaml
	expect_refused "bad.yaml:$1" "$2"
	weir run bad.yaml --state state
	expect_refused "bad.yaml:$1" "$2"
}
good >bad.yaml
weir check bad.yaml
expect_code 0
refused 6:12 'did you mean .?semaphore' 's/queue/semaphor/'
refused 7:3 'pattern: naive' 's/queue/naive/'
refused 7:3 'fixed size' 's/queue/chunked/; s/concurrency: 5/concurrency: auto/'
refused 8:9 'such as 1000/s' 's,100/s,100,'
refused 8:3 'burst without rate' 's,rate: 100/s,burst: 5,'
refused 8:15 'from 32MiB' 's,rate: 100/s,max_memory: 1MiB,'
refused 8:13 'a path into the item' 's,rate: 100/s,order_by: customer,'
refused 8:3 'priority: "field" is required' 's,rate: 100/s,priority: { aging: 1s },'
refused 8:14 'slow_rate without slow' 's,rate: 100/s,breaker: { slow_rate: 10% },'
refused 4:18 'from 1 to' 's/concurrency: 3/concurrency: 0/'
refused 3:[0-9]+ 'expected up to 64 letters' "s/order_id.' /order_id}', label: 'a b' /"
expect test "$(mock_stat .requests)" = 0
for words in '--concurrency 0' '--rate 5' '--rate -1/s'; do
	# shellcheck disable=SC2086
	weir get --range 1-3 "$MOCK_URL/orders/{}" --allow-private $words
	expect_code 64
done
weir get --range 1-3 "$MOCK_URL/orders/{}" --allow-private --rate 20/s --concurrency auto
expect_code 0
expect_lines 3 stdout
