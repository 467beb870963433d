# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir get` stopped, killed and started again: each URL has one record, and what was written is not fetched again.  A
# list that grows is fetched further; records from elsewhere are left alone.
mock --latency 50ms
seq 60 | sed "s,.*,$MOCK_URL/text/&," >urls.txt
get() {
	weir get -i urls.txt -o out.jsonl --allow-private --concurrency 5 --summary summary.json "$@"
}
records() {
	test "$(wc -l <out.jsonl)" -ge "$1"
}
start "$WEIR" get -i urls.txt -o out.jsonl --allow-private --concurrency 5
wait_until 5 records 15
kill -INT "$started_pid"
finish
expect_code 5
stopped=$(wc -l <out.jsonl)
start "$WEIR" get -i urls.txt -o out.jsonl --allow-private --concurrency 5
wait_until 5 records $((stopped + 10))
kill_run
get
expect_code 0
expect_lines 60 out.jsonl
expect_json out.jsonl '[.[].url] | unique | length == 60'
asked=$(mock_stat .requests)
[ "$asked" -le 75 ] || fail "$asked requests for 60 URLs"

get
expect_code 0
expect_summary .was_done
echo "$MOCK_URL/text/61" >>urls.txt
get
expect_code 0
expect_lines 61 out.jsonl
expect test "$(mock_stat .requests)" = $((asked + 1))

rm out.jsonl
get
expect_code 78
expect_err 'out.jsonl is missing'
echo precious >out.jsonl
rm -rf .weir
get
expect_code 78
expect_err 'exists.*on_start'
expect grep -qx precious out.jsonl
get --on-start append
expect_code 0
expect_lines 62 out.jsonl
