# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir get` and a host that is down for a while: its URLs wait, and none fails.  One that never comes back is given up
# after --give-up: each URL has a record that says what the host answered, and no try is counted that was not made.
seq 60 | sed "s,.*,$(refused_url)/&," >lost.txt
"$WEIR" get -i lost.txt -o lost.jsonl --allow-private --quiet --give-up 1s 2>lost.err &
lost=$!
pids+=("$lost")
mock --latency 50ms --workers 20 --outage 500ms..2500ms
seq 600 | sed "s,.*,$MOCK_URL/text/&," >urls.txt
weir get -i urls.txt -o out.jsonl --allow-private --quiet
expect_code 0
expect_json out.jsonl 'length == 600 and all(.ok)'
expect test "$(mock_stat .in_outage)" -ge 20

CODE=0
wait "$lost" || CODE=$?
expect_code 3
expect_json lost.jsonl 'length == 60 and all(.status == null and (.error | test("^connect: .*refused")))'
expect_json lost.jsonl '[.[] | select(.error | test("; http://127.0.0.1:1 has not answered for [0-9]+ s$"))] | length >= 40'
expect_json lost.jsonl '[.[] | select(.attempts == 0)] | length >= 30'
