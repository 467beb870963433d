# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What a run found out about an upstream is known to the next one; a damaged file is announced, and does no harm.
mock --latency 5ms --limit 200/s --retry-after none
orders 500
pipeline_orders
run
expect_code 0
expect_summary '.flow.throttled > 0'
expect_json state/upstreams.json '.version == 1 and (.upstreams | to_entries | length == 1 and .[0].value.per_sec > 50)'
expect test "$(stat -c %a state/upstreams.json)" = 600
cp state/upstreams.json upstreams.json
first=$(jq .flow.throttled summary.json)

seq 501 600 | sed 's/.*/{"order_id": &}/' >orders.jsonl
rm -f out.db
run --fresh
expect_code 0
expect_summary ".flow.throttled <= $first and .succeeded == 100"

for text in '{"version":1,"upstreams":{"http' '' '[]' '{"version":1,"upstreams":{"x":{"limit":-1,"per_sec":0,"min_latency_ms":0}}}' \
	'{"version":1,"upstreams":{"x":{"limit":1e99,"per_sec":0,"min_latency_ms":0}}}'; do
	printf '%s' "$text" >state/upstreams.json
	rm -f out.db
	run --fresh
	expect_code 0
	expect_err 'upstreams.json is damaged'
	expect_json state/upstreams.json '.upstreams | length == 1'
done
ln -sf ../upstreams.json state/upstreams.json
rm -f out.db
run --fresh
expect_code 0

# A folder of state that is removed takes it along.
rm state/upstreams.json
run --fresh
cp upstreams.json state/upstreams.json
weir state rm state
expect_code 0
expect test ! -e state
