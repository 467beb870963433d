# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A server that states its limit is taken at its word, whichever way it states it: nobody runs into the limit to find it.
# Of the first 20 calls, before it has stated anything, 10 pass.  (On a busy machine some calls come late and then close
# together, which a small burst may not bear.)
orders 200
pipeline_orders
for headers in ratelimit ratelimit-old x-ratelimit; do
	mock --latency 20ms --limit 100/s,burst=10 --limit-headers "$headers"
	rm -rf out.db state
	run
	expect_code 0
	expect_rows 200
	[ "$(mock_stat '.limited <= 18')" = true ] || fail "$headers: $(mock_stat .)"
	[ "$(mock_stat '.most_in_window <= 112')" = true ] || fail "$headers: $(mock_stat .)"
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
