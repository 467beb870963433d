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
expect_err 'weir dead '

weir dead ls state
expect_code 0
expect_out 'connect.*refused'
expect test "$(wc -l <stdout)" = 31
weir dead ls state --reason 'no such reason'
expect_code 0
expect_out '^no dead letters with "no such reason"'
weir dead export state
expect_json stdout 'length == 30 and all(.[]; .attempts == 2 and .position >= 1 and .item.order_id == .position)'
id=$(jq -r 'select(.position == 7) | .id' stdout)
weir dead show state --id "$id"
expect_out 'reason +connect'
expect_out '^    "order_id": 7$'

# One alone, and it dies again: its history is kept.
weir dead replay state --id "$id"
expect_out '^1 item will be replayed'
MOCK_URL=$(refused_url) run
expect_code 3
expect_summary '.read == 30 and .dead == 30'
weir dead export state
expect_json stdout 'length == 30 and ([.[] | select(.position == 7) | .history | length] == [1])'

# One is given up for good, the others are replayed.
id=$(jq -r 'select(.position == 9) | .id' stdout)
weir dead purge state
expect_code 64
weir dead purge state --id "$id"
expect_out '^1 dead letter'
weir dead replay state
expect_out '^29 items will be replayed'
run
expect_code 3
expect_summary '.succeeded == 29 and .dead == 1 and .unfinished == 0'
expect_rows 29
weir dead ls state
expect_code 0
[ "$(cat stdout)" = 'no dead letters' ] || fail "ls says: $(cat stdout)"
