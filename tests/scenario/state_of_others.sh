# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A state folder that other users may write to is refused, as is a state.db that leads elsewhere; the files are 0600.
orders 5
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps: [ { jq: . } ]
sink: { jsonl: { path: out.jsonl } }
YAML
umask 022
mkdir -m 0777 state
run
expect_code 74
expect_err 'other users may write to the state folder .*0777.*chmod go-w'
[ -z "$(ls -A state)" ] || fail "something was made: $(ls -A state)"
for words in 'state verify' 'dead ls'; do
	read -ra call <<<"$words"
	weir "${call[@]}" state
	expect_code 74
	expect_err 'other users may write'
done

# A group that is the user's own is no other user.
chmod 0770 state
run
expect_code 0
expect_rows_private() {
	local file
	for file in state/*; do
		[ "$(stat -c %a "$file")" = 600 ] || fail "$file has mode $(stat -c %a "$file")"
	done
}
expect_rows_private
chmod 0644 state/state.db
weir state verify state
expect_code 0
expect_rows_private

rm -r state
mkdir -m 0700 state
echo precious >elsewhere
ln -s ../elsewhere state/state.db
run
expect_code 74
expect_err 'state.db is a symbolic link'
[ "$(cat elsewhere)" = precious ] || fail "what the link leads to was written"
