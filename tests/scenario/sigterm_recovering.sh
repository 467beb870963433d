# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# SIGTERM while a run that was killed is gone on with, again and again: nothing is lost or doubled.
mock --latency 10ms
orders 8000
pipeline_orders 'flow: { concurrency: 50 }'
start_run
wait_until 10 status_says '.succeeded >= 200'
kill_run
for pause in 0 0.02 0.05 0.1 0.2; do
	start_run
	sleep "$pause"
	kill -TERM "$started_pid"
	finish
	# One that had not come to the point of listening to signals is ended by them, as any program.
	case $CODE in
	5 | 143) ;;
	*) fail "exit code $CODE" ;;
	esac
	start_run
	sleep 0.15
	kill_run
done
run
expect_code 0
expect_rows 8000
expect_summary '.read == 8000 and .succeeded == 8000 and .resumed'
expect_oracle --key order_id=id
