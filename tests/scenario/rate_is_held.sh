# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A rate that is set is held in any window: a server that allows just that never says no.
mock --limit 1000/s,burst=50
orders 2000
pipeline_orders 'flow: { concurrency: 100, rate: 1000/s }'
run
expect_code 0
expect_rows 2000
expect_summary '.flow.throttled == 0 and .refused == 0 and .attempts == 2000'
expect_summary '.wall_s >= 1.95 and .wall_s < 6'
expect_summary '.flow.rate_from == "yours" and .flow.own_rate == "1000/s" and .flow.mostly == "rate limit (yours)"'
expect test "$(mock_stat .limited)" = 0
