# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Each starter file is right as it is, and runs to its end against the mock that its head names.
start_postgres
export DATABASE_URL=$PG_URL
weir init
expect_code 0
names=$(sed -n 's/^  \([a-z-]*\) .*/\1/p' stdout)
[ "$(echo "$names" | wc -l)" = "$(find "$TREE/app/cmd/templates" -name '*.yaml' | wc -l)" ] ||
	fail "not all templates are listed: $names"
for name in $names; do
	weir init "$name"
	expect_code 0
	expect_out "wrote $name.yaml; .*weir try $name.yaml"
	expect cmp "$name.yaml" "$TREE/app/cmd/templates/$name.yaml"
	weir check "$name.yaml"
	expect_code 0
	head -n 1 "$name.yaml" | grep -q '^# [A-Z]' || fail "$name.yaml does not begin with what it is for"
	grep -q "weir run $name.yaml" "$name.yaml" || fail "$name.yaml does not say how to run it"

	# The same with a mock of our own, and fewer items.
	read -ra options < <(sed -n 's/^#.*weir mock\(.*\)&$/\1/p' "$name.yaml")
	mock "${options[@]}"
	sed "s|http://127.0.0.1:8080/|$MOCK_URL/|; s|range: 1-[0-9]*|range: 1-20|" "$name.yaml" >own.yaml
	# Those that read their items from a pipe say how to make some.
	items=$(sed -n "s/^#.*\(seq .*\) | weir run $name.yaml/\1/p" "$name.yaml")
	eval "${items:-true}" | head -n 20 >items
	CODE=0
	"$WEIR" run own.yaml --state "state-$name" --summary summary.json <items >stdout 2>stderr || CODE=$?
	expect_code 0
	check_accounts
	expect_summary '.succeeded == 20'
	mock_stop
done

# What is there is left alone.
echo mine >quota.yaml
weir init quota
expect_code 74
expect_err 'quota.yaml exists'
[ "$(cat quota.yaml)" = mine ] || fail "quota.yaml was overwritten"
weir init -o other.yaml quota
expect_code 0
weir init -o - quota
expect cmp stdout other.yaml
weir check other.yaml
expect_code 0
weir init -o no/such/folder.yaml quota
expect_code 74
weir init quata
expect_code 64
expect_err 'did you mean "quota"'
weir init fleet
expect_code 64
expect_err 'Redis'
