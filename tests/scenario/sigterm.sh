# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# SIGTERM drains: what is in flight is finished and written, nothing new is begun, exit code 5.
mock --latency 300ms
orders 200
pipeline_orders 'flow: { concurrency: 5 }' 'shutdown: { drain: 10s }'
start_run
wait_until 10 status_says '.in_flight == 5'
kill -TERM "$started_pid"
finish
expect_code 5
expect_summary '.succeeded >= 5 and .succeeded < 30 and .dead == 0 and .state == "stopped"'
expect_rows "$(jq .succeeded summary.json)"

# A second one ends it now.
mock --latency 20s
rm -rf state out.db
start_run
wait_until 10 status_says '.in_flight == 5'
kill -TERM "$started_pid"
wait_until 10 grep -q 'SIGTERM again' stderr
expect kill -0 "$started_pid"
rm -f summary.json
before=$SECONDS
kill -TERM "$started_pid"
finish
expect_code 143
expect test $((SECONDS - before)) -le 5
expect test -z "$(pgrep -P "$started_pid")"
