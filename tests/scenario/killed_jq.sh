# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A jq child that is killed from outside, ten times in a run: a new one takes its place, and no item is blamed.
mkfifo in
exec 8<>in
pipeline <<'YAML'
source: { lines: { path: in } }
steps: [ jq: '{n: ., s: ([range(6000)] | add)}' ]
sink: { jsonl: { path: out.jsonl } }
YAML
start_run 8>&-
for round in $(seq 10); do
	seq $((20 * round - 19)) $((20 * round)) >&8
	# One answer at least: it is a new child, with more to do.
	wait_until 10 status_says ".jq_answers > 20 * ($round - 1)"
	kill -KILL "$(pgrep -P "$started_pid" weir-jq)"
	wait_until 10 status_says ".jq_answers >= 20 * $round"
done
exec 8>&-
finish
expect_code 0
expect_summary '.read == 200 and .succeeded == 200 and .dead == 0'
expect_lines 200 out.jsonl
