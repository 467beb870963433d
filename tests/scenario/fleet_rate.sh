# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A rate holds for all workers together: a server that allows just that never says no, and none of the two is idle.
# (60 of the burst are for calls that the mock sees late, since it waits for a busy machine.)
start_redis
mock --limit 200/s,burst=70
orders 700
fleet_orders 'flow: { concurrency: 40, rate: 200/s, burst: 10 }'
weir submit pipeline.yaml --detach
expect_code 0
fleet_work one
one=$work_pid
fleet_work two
work_ends "$one" 0
work_ends "$work_pid" 0
expect_rows 700
expect_json one.json '.attempts > 100'
expect_json two.json '.attempts > 100'
expect test "$(mock_stat .limited)" = 0
