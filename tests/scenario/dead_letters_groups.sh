# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Dead letters of one cause are a group, however many ids their texts have; each verb takes a group, of a run that is
# alive, too.
mock --latency 20ms
seq 1 100 | sed 's/.*/{"order_id": &}/' >orders.jsonl
cat >pipeline.yaml <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps:
  - jq: |
      if .order_id % 10 == 0 then error("order \(.order_id) has no customer c-\(.order_id)")
      elif .order_id % 25 == 1 then error("order (\(.)) is odd") else . end
  - http: { url: '${env:MOCK_URL}/${if}', expect: text }
flow: { concurrency: 5, breaker: off }
stop_when: { dead: 0% }
sink: { jsonl: { path: out.jsonl } }
YAML
# 1 to 100: ten without a customer, four odd ones, one in five of the others 422, one in seven 404.
sed -i "s|/\${if}|/status/\${.s}|; s|else . end|else {order_id, s: (if .order_id % 5 == 1 then 422 elif .order_id % 7 == 0 then 404 else 200 end)} end|" pipeline.yaml

groups() {
	weir dead state
	expect_code 0
	expect_out '^GROUP +LETTERS +SHARE +FIRST SEEN \(UTC\) +LAST SEEN \(UTC\) +EXAMPLE$'
}
group_of() {
	grep -B1 -E "$1" stdout | head -n 1 | cut -d' ' -f1
}

start_run
wait_until 10 status_says '.dead >= 20'
weir dead state
expect_out 'step 1 \(jq\): jq: order [0-9]+ has no customer c-[0-9]+$'
finish
expect_code 3
groups
expect_out '^[0-9a-f]{8} +16 +40 %  20..-..-.. ..:..:.. 20..-..-.. ..:..:.. [0-9]+$'
expect_out '^          step 2 \(http\): status: 422: as asked for$'
expect_out '^          step 1 \(jq\): jq: order [0-9]+ has no customer c-[0-9]+$'
[ "$(grep -cE '^[0-9a-f]{8} ' stdout)" = 4 ] || fail "there should be four groups: $(cat stdout)"
customer=$(group_of 'no customer') odd=$(group_of 'is odd') missing=$(group_of 'status: 404')
letters=$(jq .letters summary.json)

weir dead ls state --group "$customer"
expect test "$(grep -c 'no customer' stdout)" = 10
weir dead export state --group "$odd"
expect_json stdout "length == 4 and all(.[]; .group == \"$odd\" and (.reason | test(\"is odd\")))"
id=$(jq -r .id stdout | head -n 1)
weir dead ls state --group "$odd" "$id"
expect_lines 2 stdout
weir dead purge state --group "$odd"
expect_out '^4 dead letters deleted'
weir dead replay state --group "$customer"
expect_out '^10 items will be replayed'
groups
[ "$(grep -cE '^[0-9a-f]{8} ' stdout)" = 2 ] || fail "there should be two groups left: $(cat stdout)"

# The same cause is the same group again.
run
expect_summary ".letters == $((letters - 4))"
groups
[ "$(group_of 'no customer')" = "$customer" ] || fail "the group has another id"
