# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir get` takes its hosts from a list: loopback addresses only when allowed.  The same command with --allow-private
# fetches them, if nothing else was fetched; else it says that some have failed.
mock
echo "$MOCK_URL/html/1" >urls.txt
weir get -i urls.txt -o out.jsonl --attempts 1
expect_code 3
expect_json out.jsonl '(.ok | not) and (.error | test("private address; --allow-private permits it"))'
expect test "$(mock_stat .requests)" -le 1

weir get -i urls.txt -o out.jsonl --attempts 1 --allow-private --progress plain
expect_code 0
expect_err 'starting over: all of the last run failed'
expect_lines 1 out.jsonl
expect_json out.jsonl '.ok and .status == 200'
weir get -i urls.txt -o out.jsonl --attempts 1 --allow-private --progress plain
expect_code 0
expect_err 'already complete, nothing to do \(--fresh starts over\)'

echo "$MOCK_URL/status/404" >>urls.txt
weir get -i urls.txt -o out.jsonl --attempts 1 --allow-private
expect_code 3
weir get -i urls.txt -o out.jsonl --attempts 1 --allow-private --progress plain
expect_err 'already complete, nothing to do; 1 failed \(--fresh starts over\)'
expect_lines 2 out.jsonl
