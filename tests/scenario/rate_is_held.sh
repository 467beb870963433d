# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A rate that is set is held in any window: a server that allows just that never says no.
# (The burst is for calls that the mock sees late, since it waits for a busy machine.)
mock --limit 200/s,burst=60
orders 400
pipeline_orders 'flow: { concurrency: 100, rate: 200/s }'
run
expect_code 0
expect_rows 400
expect_summary '.flow.throttled == 0 and .refused == 0 and .attempts == 400'
expect_summary '.wall_s >= 1.95 and .wall_s < 10'
expect_summary '.flow.rate_from == "yours" and .flow.own_rate == "200/s" and .flow.mostly == "rate limit (yours)"'
expect test "$(mock_stat .limited)" = 0
