# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A limit that nobody states is found: few calls are turned away, none is lost, and none uses up an attempt.
mock --latency 5ms --limit 300/s --retry-after none
orders 1800
pipeline_orders 'flow: { retry: { attempts: 1 } }'
run
expect_code 0
expect_rows 1800
expect_summary '.dead == 0 and .attempts == 1800 and .flow.throttled > 0'
expect_summary '.flow.throttled < 0.15 * 1800 and .flow.rate_from == "found" and .flow.rate > 100 and .flow.rate < 400'
expect_summary '.wall_s < 30'

# A limit that is stated is kept to.
mock --latency 5ms --limit 300/s,burst=30 --limit-headers ratelimit
rm -rf state out.db
run
expect_code 0
expect_rows 1800
expect_summary '.dead == 0 and .flow.throttled < 0.05 * 1800 and .flow.rate_from == "hint"'
