# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Killed in the middle, three times: the same command goes on, each order is one row, and hardly any is asked for twice.
mock --latency 20ms
orders 3000
pipeline_orders 'flow: { concurrency: 20 }'
for _ in 1 2 3; do
	start_run
	wait_until 20 status_says ".pid == $started_pid and .attempts >= 100"
	kill_run
done
run
expect_code 0
expect_rows 3000
expect_summary '.read == 3000 and .succeeded == 3000 and .resumed and .settled_before > 100'
expect_oracle --key order_id=id
# What was in flight or in a batch when it was killed is asked for again, no more.
expect test "$(mock_stat .requests)" -le $((3000 + 3 * 600))
