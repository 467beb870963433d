# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The upstream dies in the middle of a run and comes back a second later: nothing is lost, nothing is doubled.
mock --latency 20ms
orders 600
pipeline_orders 'flow: { concurrency: 20, retry: { attempts: 40, backoff: 50ms..500ms } }' 'stop_when: { dead: 0% }'
start_run
sleep 0.25
mock_stop
sleep 1
mock_start
finish
expect_code 0
expect_rows 600
expect_summary '.read == 600 and .succeeded == 600 and .retries > 0'
