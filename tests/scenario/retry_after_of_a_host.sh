# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The first answer is a 429 that asks for one second: nobody calls that host before it has passed, though it is the
# only attempt that is allowed; then all goes on.
mock --fault /orders/1=once/status/429/retry-after/1
orders 9
pipeline_orders 'flow: { concurrency: 1, retry: { attempts: 1, backoff: 10ms..20ms } }'
run
expect_code 0
expect_rows 9
expect_summary '.wall_s >= 1 and .wall_s < 10 and .dead == 0'

# Odd values do no harm: a word, a negative number, a date that is now, one far too large (capped).
for text in soon -5 date:0; do
	mock --fault "/orders/1=once/status/429/retry-after/$text:100%"
	rm -rf out.db state
	run
	expect_code 0
	expect_rows 9
	expect_summary '.wall_s < 20'
done
mock --fault /orders/1=once/status/429/retry-after/99999999999999
rm -rf out.db state
pipeline_orders 'flow: { concurrency: 1, retry: { attempts: 1, max_retry_after: 1s } }'
run
expect_code 0
expect_rows 9
expect_summary '.wall_s < 10'
