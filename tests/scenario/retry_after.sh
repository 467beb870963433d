# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# 429 with Retry-After: the host's gate is shut for as long as it says, and no attempt is used up.
mock --limit 100/s
orders 250
pipeline_orders 'flow: { concurrency: 50, retry: { attempts: 1, backoff: 10ms..20ms } }'
run
expect_code 0
expect_rows 250
expect_summary '.dead == 0 and .succeeded == 250 and .wall_s < 20'
