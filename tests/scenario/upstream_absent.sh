# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Nobody listens: every item is tried as often as said, then a dead letter that says so.
orders 9
export MOCK_URL
MOCK_URL=$(refused_url)
pipeline_orders 'flow: { concurrency: 3, retry: { attempts: 2, backoff: 5ms..10ms } }'
run
expect_code 3
expect_summary '.dead == 9 and .succeeded == 0 and .retries == 9 and .attempts == 18'
expect_dead 9 'connect.*refused'

# A list without items: 0 is a number, too.
rm -rf state out.db*
: >orders.jsonl
weir run pipeline.yaml --state state --progress plain
expect_code 0
expect_err '^  ok +0$'
