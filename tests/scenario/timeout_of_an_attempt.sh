# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# An attempt ends after flow.timeout.attempt, whatever the step's own time-out allows: tried again, then a dead letter.
mock --fault /orders/7=stall
orders 9
pipeline_orders 'flow: { timeout: { attempt: 300ms }, retry: { attempts: 3, backoff: 5ms..10ms } }'
run
expect_code 3
expect_rows 8
expect_summary '.read == 9 and .succeeded == 8 and .dead == 1 and .retries == 2'
expect_dead 1 'timeout: the attempt took too long \(flow.timeout.attempt\)'
