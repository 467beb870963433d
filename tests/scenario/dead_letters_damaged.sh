# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A letter that has changed or gone, or a damaged page of letters, is refused by each verb with 74.
orders 400
cat >pipeline.yaml <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps: [ { jq: 'error("number \(.order_id)")' } ]
stop_when: { dead: 0% }
sink: { jsonl: { path: out.jsonl } }
YAML
run
expect_code 3
cp -r state whole
damaged() {
	for words in 'dead' 'dead ls' 'dead export' 'dead replay' 'state verify'; do
		read -ra call <<<"$words"
		weir "${call[@]}" state
		expect_code 74
		[ "$(stat -c %s stdout)" -lt 100000 ] || fail "$words has written $(stat -c %s stdout) bytes"
	done
	[ "${1:-}" = readable ] || { run --adopt; expect_code 74; }
	rm -rf state
	cp -r whole state
}

# One is gone; the one bit that says that the source was read; the text of one.
sqlite3 state/state.db 'DELETE FROM dead WHERE id = 300'
damaged
sqlite3 state/state.db 'UPDATE progress SET sealed = 0'
damaged
sqlite3 state/state.db "UPDATE dead SET item = x'7b7d' WHERE id = 300"
damaged readable

# A page of them, as a disk loses it, of a run that was killed: 4 KiB of zeroes.
page=$(sqlite3 state/state.db "SELECT rootpage FROM sqlite_schema WHERE name = 'dead'")
offset=$(grep -abo 'number 250' state/state.db | tail -n 1 | cut -d: -f1)
dd if=/dev/zero of=state/state.db bs=4096 count=1 seek=$((offset / 4096)) conv=notrunc status=none
[ "$page" -gt 0 ] || fail "there is no table of letters"
for words in 'dead ls --limit 0' 'dead export'; do
	read -ra call <<<"$words"
	CODE=0
	timeout 10 "$WEIR" "${call[@]}" state >stdout 2>stderr || CODE=$?
	expect_code 74
	expect_err 'damaged'
done
