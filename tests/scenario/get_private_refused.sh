# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir get` takes its hosts from a list: loopback addresses only when allowed.
mock
echo "$MOCK_URL/html/1" >urls.txt
weir get -i urls.txt -o out.jsonl --attempts 1
expect_code 3
expect_json out.jsonl '(.ok | not) and (.error | test("private address; --allow-private permits it"))'
expect test "$(mock_stat .requests)" -le 1
