# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir get --save`: a file for each answer, a record for each URL, and the same command resumes.
mock
mkdir pages
{
	echo '# pages'
	seq 20 | sed "s,.*,$MOCK_URL/html/&,"
	echo "$MOCK_URL/status/404"
} >urls.txt
weir get -i urls.txt -o out.jsonl --save 'pages/{}.html' --allow-private
expect_code 3
expect_lines 21 out.jsonl
expect test "$(find pages -type f | wc -l)" = 20
expect_json out.jsonl 'map(select(.ok)) | length == 20 and all(.[]; .status == 200 and (has("body") | not) and
	(.content_type | startswith("text/html")) and .error == null)'
expect_json out.jsonl 'map(select(.ok | not))[0] | .error == "status: 404" and has("body") and (has("path") | not)'
expect_json out.jsonl "map(select(.url == \"$MOCK_URL/html/7\"))[0].path == \"pages/8.html\"" # the line in the list
jq -r 'select(.ok) | "\(.sha256)  \(.path)"' out.jsonl | expect sha256sum --quiet -c -
jq -r 'select(.ok) | "\(.bytes) \(.path)"' out.jsonl | while read -r bytes path; do
	expect test "$(stat -c %s "$path")" = "$bytes"
done

# What the list has got since is fetched, and nothing else.
echo "$MOCK_URL/html/99" >>urls.txt
weir get -i urls.txt -o out.jsonl --save 'pages/{}.html' --allow-private
expect_lines 22 out.jsonl
expect test -s pages/23.html

# Of another list nothing is replaced, unless that is said.
echo mine >pages/1.html
weir get --range 1-3 "$MOCK_URL/html/{}" --save 'pages/{}.html' --allow-private
expect_code 3
expect_out 'pages/1.html exists, and this item of this run has not written it'
expect test "$(cat pages/1.html)" = mine
weir get --range 1-3 "$MOCK_URL/html/{}" --save 'pages/{}.html' --allow-private -o three.jsonl --on-start replace
expect_code 0
expect grep -q '<html' pages/1.html

weir get -i urls.txt --save pages/page.html
expect_code 64
expect_err 'weir get: --save needs [{][}] in the path'
weir get -i urls.txt --save 'gone/{}'
expect_code 64
expect_err '^weir get: --save: cannot save to gone/.*: the folder "gone/" does not exist; make it$'
