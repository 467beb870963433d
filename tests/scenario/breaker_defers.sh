# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# An upstream that is not there: its breaker opens and items wait without losing attempts, which is said; a signal ends
# it, and once the upstream is there the same command goes on.  With when_open: reject, and with breaker: off, they die.
mock
orders 200
flow='concurrency: 10, retry: { attempts: 2, backoff: 5ms..10ms }'
pipeline_orders "flow: { $flow, breaker: { open: 300ms..400ms } }"
url=$MOCK_URL
MOCK_URL=$(refused_url) start_run
wait_until 10 status_says '.flow.breaker == "open" and .flow.why == "breaker open"'
wait_until 10 status_says '.refused >= 100'
expect status_says '.attempts < 60 and .dead < 20'
wait_until 10 grep -qE 'fails .connect: refused.; items wait, next probe in .*; no call has succeeded yet: is the address right' stderr
expect status_says '.flow.last_failure | test("connect.*refused")'
weir status state
expect_out '^  ! .* fails .connect: refused.; items wait, next probe'
kill -TERM "$started_pid"
finish
expect_code 5
expect_summary '.flow.breaker_opened >= 1 and .unfinished > 150'
MOCK_URL=$url run
expect_summary '.succeeded + .dead == 200 and .dead < 20'

rm -rf state out.db dead.jsonl
pipeline_orders "flow: { $flow, breaker: { when_open: reject } }" 'stop_when: { dead: 0% }'
MOCK_URL=$(refused_url) run
expect_code 3
expect_dead 200 '^(connect|breaker: open)'
expect_summary '.attempts == 400'

rm -rf state out.db dead.jsonl
pipeline_orders "flow: { $flow, breaker: off }" 'stop_when: { dead: 0% }'
MOCK_URL=$(refused_url) run
expect_code 3
expect_dead 200 '^connect'
expect_summary '.flow.breaker_opened == 0'
