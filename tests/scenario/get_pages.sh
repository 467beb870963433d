# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir get`: a thousand pages, a record each; three kinds of failure among them are told apart.
mock --latency 2ms
{
	seq 994 | sed "s,.*,$MOCK_URL/html/&,"
	echo "$MOCK_URL/status/404"
	echo "$MOCK_URL/status/404?again"
	echo "$(refused_url)/a"
	echo "$(refused_url)/b"
	echo "$MOCK_URL/fault/stall/1"
	echo "$MOCK_URL/fault/stall/2"
} >urls.txt
weir get -i urls.txt -o out.jsonl --allow-private --concurrency 50 --timeout 1s --attempts 1 --summary summary.json
check_accounts
expect_code 3
expect_lines 1000 out.jsonl
expect_json out.jsonl '[.[] | select(.ok)] | length == 994'
expect_json out.jsonl 'all(.[]; has("url") and has("status") and has("latency_ms") and has("bytes") and .attempts == 1)'
expect_json out.jsonl 'all(.[] | select(.ok); .status == 200 and .error == null and (.body | test("<html"; "i")))'
expect_json out.jsonl 'all(.[] | select(.ok); (.body | utf8bytelength) == .bytes)'
expect_json out.jsonl '[.[] | select(.status == 404 and (.ok | not))] | length == 2'
expect_json out.jsonl '[.[] | select(.error | strings | test("^connect"))] | length == 2'
expect_json out.jsonl '[.[] | select(.error | strings | test("^timeout"))] | length == 2'
expect_json out.jsonl '[.[].url] | unique | length == 1000'
