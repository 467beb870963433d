# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A rate holds for all workers together: by the times at which calls were sent no window of a second has more of them
# than the rate and the burst allow, and none of the two is idle.
start_redis
mock --log requests.log
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
