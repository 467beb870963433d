# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A wrong token must not make a mountain of dead letters: when half of the first 200 fail, the run stops.
mock --fault /orders/=status/401
orders 5000
pipeline_orders 'flow: { concurrency: 20 }'
run
expect_summary '.read < 5000 and .dead >= 100 and .dead < 1500 and .succeeded == 0'
expect_summary '.state != "done"'
expect_err 'stop_when|dead'
expect_code 5
