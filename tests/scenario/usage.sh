# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Wrong use of the command: exit code 64 and a hint; help and version are answers, not errors.
weir
expect_code 64
weir frobnicate
expect_code 64
expect_err 'frobnicate'
weir run
expect_code 64
weir run --no-such-option x.yaml
expect_code 64
expect_err 'no-such-option'
weir --help
expect_code 0
for verb in run get init check list status mock; do expect_out "$verb"; done
weir --version
expect_code 0
expect_out '[0-9]+\.[0-9]+'
weir list
expect_code 0
for kind in jsonl lines range stdin http jq sqlite stdout memory; do expect_out "$kind"; done

# All of it fits a terminal of 80 columns.
expect_narrow() {
	expect_code 0
	wide=$(awk 'length > 80' stdout)
	[ -z "$wide" ] || fail "wider than 80 columns: $wide"
}
for verb in '' run get init check list dead state set status mock bench; do
	# shellcheck disable=SC2086 # no verb at all is one of them
	weir $verb --help
	expect_narrow
	expect_out '^usage: weir'
done
weir init
expect_narrow
for part in '' flow http lines csv jsonl sqlite jq; do
	# shellcheck disable=SC2086
	weir list $part
	expect_narrow
done
