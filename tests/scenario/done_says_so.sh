# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A run that is done says so and does nothing; --fresh runs it anew.
mock
orders 20
pipeline_orders
run
expect_code 0
run
expect_code 0
expect_summary '.was_done and .succeeded == 20 and .attempts == 0'
expect_err 'done'
expect test "$(mock_stat .requests)" = 20
run --fresh
expect_code 0
expect_summary '(.was_done | not) and .succeeded == 20'
expect test "$(mock_stat .requests)" = 40
expect_rows 20
