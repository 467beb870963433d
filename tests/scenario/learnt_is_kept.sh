# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What a run has learnt of an upstream is known to the next one; a file that is damaged is told of, and does no harm.
mock --latency 5ms --limit 200/s --retry-after none
orders 500
pipeline_orders
run
expect_code 0
expect_summary '.flow.throttled > 0'
expect_json state/learnt.json '.version == 1 and (.upstreams | to_entries | length == 1 and .[0].value.per_sec > 50)'
expect test "$(stat -c %a state/learnt.json)" = 600
cp state/learnt.json learnt.json
first=$(jq .flow.throttled summary.json)

seq 501 600 | sed 's/.*/{"order_id": &}/' >orders.jsonl
rm -f out.db
run --fresh
expect_code 0
expect_summary ".flow.throttled <= $first and .succeeded == 100"

for text in '{"version":1,"upstreams":{"http' '' '[]' '{"version":1,"upstreams":{"x":{"limit":-1,"per_sec":0,"floor_ms":0}}}' \
	'{"version":1,"upstreams":{"x":{"limit":1e99,"per_sec":0,"floor_ms":0}}}'; do
	printf '%s' "$text" >state/learnt.json
	rm -f out.db
	run --fresh
	expect_code 0
	expect_err 'learnt.json is damaged'
	expect_json state/learnt.json '.upstreams | length == 1'
done
ln -sf ../learnt.json state/learnt.json
rm -f out.db
run --fresh
expect_code 0

# A folder of state that is removed takes it along.
rm state/learnt.json
run --fresh
cp learnt.json state/learnt.json
weir state rm --state state
expect_code 0
expect test ! -e state
