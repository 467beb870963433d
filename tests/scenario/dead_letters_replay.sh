# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Dead letters are kept in the state, with their reason; once the cause is mended they go round again and lose nothing.
mock
orders 30
pipeline_orders 'flow: { retry: { attempts: 2, backoff: 5ms..10ms }, breaker: off }' 'stop_when: { dead: 0% }'
sed -i '/^dead_letter/d' pipeline.yaml
MOCK_URL=$(refused_url) run
expect_code 3
expect_summary '.dead == 30 and .letters == 30'
expect_err 'weir dead ls'

weir dead ls --state state
expect_code 0
expect_out 'connect.*refused'
expect test "$(wc -l <stdout)" = 31
weir dead ls --state state --reason 'no such reason'
expect test "$(wc -l <stdout)" = 1
weir dead export --state state
expect_json stdout 'length == 30 and all(.[]; .attempts == 2 and .position >= 1 and .item.order_id == .position)'
id=$(jq -r 'select(.position == 7) | .id' stdout)
weir dead show --state state --id "$id"
expect_out 'reason +connect'
expect_out 'item +\{"order_id": ?7\}'

# One alone, and it dies again: its history is kept.
weir dead replay --state state --id "$id"
expect_out '^1 item goes'
MOCK_URL=$(refused_url) run
expect_code 3
expect_summary '.read == 30 and .dead == 30'
weir dead export --state state
expect_json stdout 'length == 30 and ([.[] | select(.position == 7) | .history | length] == [1])'

# One is given up for good, the others are replayed.
id=$(jq -r 'select(.position == 9) | .id' stdout)
weir dead purge --state state
expect_code 64
weir dead purge --state state --id "$id"
expect_out '^1 dead letter'
weir dead replay --state state
expect_out '^29 items go'
run
expect_code 3
expect_summary '.succeeded == 29 and .dead == 1 and .unfinished == 0'
expect_rows 29
weir dead ls --state state
expect test "$(wc -l <stdout)" = 1
