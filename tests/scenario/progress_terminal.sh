# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# On a terminal progress is one line of at most 80 columns, redrawn in place; control bytes from outside never reach it.
mock --latency 50ms --fault /orders/7=html
orders 69
pipeline_orders 'flow: { concurrency: 2 }'
script -qec "stty cols 80 rows 24; '$WEIR' run pipeline.yaml --state state" typescript >/dev/null 2>&1 </dev/null || true
expect_rows 68
# What a terminal of 80 columns would show of each redraw: without colours, cut at each carriage return.
sed 's/\x1b\[[0-9;?]*[A-Za-z]//g' typescript | tr '\r' '\n' | grep -v '^Script ' >shown
expect test "$(wc -l <shown)" -ge 3
widest=$(wc -L <shown)
[ "$widest" -le 80 ] || fail "a line of $widest columns: $(awk 'length > 80' shown | head -n 1)"
expect grep -qE '68|69' shown
expect grep -qx '  2 at once' shown
expect grep -qx '  most of the time held back by: concurrency limit' shown

# Why it stands still has a place on it, however long the numbers are.
shows() {
	rm -rf state orders.db out.db typescript
	script -qec "stty cols 80 rows 24; timeout -s INT 4 '$WEIR' run pipeline.yaml --state state" typescript >/dev/null 2>&1 \
		</dev/null || true
	sed 's/\x1b\[[0-9;?]*[A-Za-z]//g' typescript | tr '\r' '\n' | grep -v '^Script ' >shown
	expect grep -qE "/s  $1  [0-9]+ failed" shown
	[ "$(grep -E '/s  .* failed' shown | wc -L)" -le 80 ] || fail "a line is too long"
}
orders 20000
for refusal in '--outage 0s..1m' '--limit 1/m --retry-after 60'; do
	mock_stop
	# shellcheck disable=SC2086 # words
	mock $refusal
	pipeline_orders 'name: a-name-of-no-small-length' 'flow: { concurrency: 200 }'
	case $refusal in
	*outage*) shows 'breaker open' ;;
	*) shows 'told to come back in [0-9]+ s' ;;
	esac
done

# Everything at once is said so, not as the number that the system would allow.
mock_stop
mock
orders 60
pipeline_orders 'flow: { pattern: naive }'
rm -rf state out.db typescript
script -qec "stty cols 80 rows 24; '$WEIR' run pipeline.yaml --state state" typescript >/dev/null 2>&1 </dev/null || true
expect grep -q '^  all at once' typescript
