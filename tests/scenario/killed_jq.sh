# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A jq child that is killed from outside is started again; no item is lost.
mock --latency 5ms
orders 2000
pipeline_orders 'flow: { concurrency: 10, retry: { attempts: 5, backoff: 5ms..10ms } }'
start_run
wait_until 5 pgrep -P "$started_pid" weir-jq
sleep 0.3
kill -KILL "$(pgrep -P "$started_pid" weir-jq | head -n 1)"
finish
expect_summary '.read == 2000 and .succeeded + .dead == 2000 and .dead <= 1'
expect_rows "$(jq .succeeded summary.json)"
