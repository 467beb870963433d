# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir try` shows three items of each starter file, with one request each, and leaves nothing behind.
weir init
names=$(sed -n 's/^  \([a-z-]*\) .*/\1/p' stdout)
[ -n "$names" ] || fail "no templates"
mock
export DATABASE_URL=postgres://127.0.0.1:1/nobody # is there, and nobody asks
sent=0
touch items before after stdout stderr
# tries N OPTION ... FILE: N items go through, each with one request.
tries() {
	local n=$1
	shift
	find . -print | sort >before
	CODE=0
	"$WEIR" try "$@" <items >stdout 2>stderr || CODE=$?
	expect_code 0
	find . -print | sort >after
	expect diff before after
	[ ! -s stderr ] || fail "$*: $(cat stderr)"
	sent=$((sent + n))
	[ "$(mock_stat .requests)" = "$sent" ] || fail "$*: $(mock_stat .requests) requests in all, expected $sent"
}
for name in $names; do
	weir init "$name"
	expect_code 0
	expect_out "weir try $name.yaml"
	grep -q "^#.* weir try $name.yaml" "$name.yaml" || fail "$name.yaml does not say how to try it"
	sed -i "s|http://127.0.0.1:8080/|$MOCK_URL/|" "$name.yaml"
	items=$(sed -n "s/^#.*\(seq .*\) | weir run $name.yaml/\1/p" "$name.yaml")
	eval "${items:-true}" >items

	tries 3 "$name.yaml"
	[ "$(grep -c '^item ' stdout)" = 3 ] || fail "$name: $(cat stdout)"
	expect_out '^    curl .*http'
	expect_out '^  row of '
	expect_out "^Nothing was stored.  All items: weir run $name.yaml"
done

tries 2 --json -n 2 orders.yaml
expect_json stdout 'length == 2 and all(.[]; .result == "ok" and (.rows | length) == 1 and (.steps | length) == 2 and
	(.steps[0] | .attempts == 1 and .response.status == 200 and (.request.curl | startswith("curl "))))'
