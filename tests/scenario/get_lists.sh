# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir get` takes a list as people write it: comments, blanks around a URL, and URLs without http://.
mock
{
	echo '# pages'
	echo "$MOCK_URL/html/1"
	echo
	echo "  $MOCK_URL/html/2	"
	echo "${MOCK_URL#http://}/html/3?u=http://elsewhere"
	echo '   # end'
} >urls.txt
weir get -i urls.txt -o out.jsonl --allow-private --summary summary.json
expect_code 0
check_accounts
expect_lines 3 out.jsonl
expect_json out.jsonl 'all(.[]; .ok)'
expect_json out.jsonl "map(.url) | sort == [\"$MOCK_URL/html/1\", \"$MOCK_URL/html/2\", \"$MOCK_URL/html/3?u=http://elsewhere\"]"
expect_summary '.dropped == 2'

# A URL with {} may leave http:// out, too, and have {} twice; "${" has no meaning in it.
weir get --range 1-2 "${MOCK_URL#http://}/html/{}?n={}&\${x}" --allow-private -o range.jsonl
expect_code 0
expect_json range.jsonl "map(.url) | sort == [range(1; 3) | \"$MOCK_URL/html/\(.)?n=\(.)&\${x}\"]"
