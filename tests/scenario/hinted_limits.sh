# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A server that states its limit is taken at its word, whichever way it states it: nobody runs into the limit to find it.
# The first 20 calls, before it has stated anything, pass.  (On a busy machine some calls come late and then close
# together: half a second's fit into the burst.)
orders 100
pipeline_orders
for headers in ratelimit ratelimit-old x-ratelimit; do
	mock --latency 20ms --limit 40/s,burst=20 --limit-headers "$headers"
	rm -rf out.db state
	run
	expect_code 0
	expect_rows 100
	[ "$(mock_stat '.limited <= 8')" = true ] || fail "$headers: $(mock_stat .)"
	[ "$(mock_stat '.most_in_window <= 64')" = true ] || fail "$headers: $(mock_stat .)"
	expect_summary '.flow.rate_from == "hint"'
	expect_summary '.wall_s > 1.5 and .wall_s < 20'
	mock_stop
done

# A server that counts in windows, as most do that state their quota.
mock --latency 5ms --limit 20/s,window --limit-headers ratelimit
orders 60
rm -rf out.db state
run
expect_code 0
expect_rows 60
[ "$(mock_stat '.limited <= 8')" = true ] || fail "window: $(mock_stat .)"
