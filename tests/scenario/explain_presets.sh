# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `check --explain` shows what a pattern stands for, and what it shows can be run.
mock
orders 40
for pattern in auto queue semaphore chunked rate naive; do
	pipeline_orders "flow: { pattern: $pattern }"
	weir check --explain pipeline.yaml
	expect_code 0
	expect_out "^  # $pattern: "
	case $pattern in
	auto) expect_out '^  concurrency: auto # default' ;;
	queue) expect_out '^  concurrency: 50 # default' ;;
	semaphore | chunked) expect_out '^  concurrency: 100 # default' ;;
	rate) expect_out '^  rate: 100/s # default' ;;
	naive) expect_out '^  # concurrency: not set' ;;
	esac
	mv stdout pipeline.yaml
	rm -rf out.db state
	run
	expect_code 0
	expect_rows 40
	expect_summary ".flow.pattern == \"$pattern\""
done
weir list flow
expect_code 0
expect_out '^  order_by: a path into the item'
expect_out 'jitter: one of full, equal, decorrelated, none; default full'
