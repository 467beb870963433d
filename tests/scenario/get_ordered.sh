# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# weir get --ordered: a record for each URL in the order of the list, those that fail among them, into a file (killed
# once) and to the standard output.
mock --latency 5ms..100ms --fault /text/2=status/404
seq 600 | sed "s,.*,$MOCK_URL/text/&," >urls.txt
records() {
	test "$(wc -l <out.jsonl)" -ge "$1"
}
get=(get -i urls.txt --ordered --allow-private --concurrency 60)
start "$WEIR" "${get[@]}" -o out.jsonl
wait_until 5 records 100
kill_run
weir "${get[@]}" -o out.jsonl
expect_code 3
jq -r .url out.jsonl >got.txt
expect cmp got.txt urls.txt
expect_json out.jsonl '[.[] | select(.ok | not)] | length == 1'
weir "${get[@]}"
expect_code 3
jq -r .url stdout >got.txt
expect cmp got.txt urls.txt
