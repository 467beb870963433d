# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A worker of three is killed: what it had is with the others at once, for they see that its process is gone.  All rows
# are there, the accounts add up, nothing is pending, and no folder of a process is left.
start_redis
mock --latency 20ms
orders 2000
fleet_orders 'flow: { concurrency: 60, rate: 500/s, burst: 10 }'
weir submit pipeline.yaml --detach --summary submit.json
expect_code 0
expect_err '2,000 items submitted, 2,000 unfinished$'
expect test "$(wc -L <stderr)" -le 80
expect_json submit.json '.state == "submitted" and .read == 2000 and .unfinished == 2000'
expect fleet_says '.state == "stopped" and .unfinished == 2000 and .sealed and .workers == []'

fleet_work one
one=$work_pid
fleet_work two
two=$work_pid
fleet_work three
wait_until 20 fleet_says '.succeeded >= 200 and ([.workers[] | select(.role == "work" and .settled > 0)] | length) == 3'
kill -KILL "$work_pid"
wait "$work_pid" 2>/dev/null || true
work_ends "$one" 0
work_ends "$two" 0
expect_rows 2000
expect fleet_says '.state == "done" and .succeeded == 2000 and .unfinished == 0 and .workers == []'
expect_json one.json '.state == "done" and .read == 2000 and .succeeded == 2000'
for stream in $(redis --raw keys 'weir:*'); do
	[ "$(redis --raw type "$stream")" = stream ] || continue
	expect test "$(redis --raw xlen "$stream")" = 0
done
expect test "$(mock_stat .requests)" -lt 2100

# What the killed one has left goes with the next process; the run is done, so a worker says so and ends.
weir work pipeline.yaml
expect_code 0
expect test "$(ls .weir/pipeline)" = history
weir state rm pipeline.yaml
expect_code 0
expect test ! -e .weir/pipeline
weir state verify pipeline.yaml
expect_code 0
expect_out 'no run has started'
