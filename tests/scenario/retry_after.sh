# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# 429 with Retry-After: the host's gate is shut for as long as it says, and no attempt is used up.
mock --limit 100/s,burst=40
orders 150
pipeline_orders 'flow: { concurrency: 50, retry: { attempts: 1, backoff: 10ms..20ms } }'
run
expect_code 0
expect_rows 150
expect_summary '.dead == 0 and .succeeded == 150 and .refused > 0 and .wall_s < 20'
