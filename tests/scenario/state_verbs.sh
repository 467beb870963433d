# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# weir state: verify finds what is wrong, export shows what is unfinished, rm is careful.
mock --latency 100ms
orders 200
pipeline_orders 'flow: { concurrency: 5 }'
weir state verify state
expect_code 69

# A folder of somebody else is left alone: nothing is read there, nothing made.
mkdir other
echo theirs >other/file
for words in 'state verify' 'state export' 'state rm' 'state rm --discard' 'dead ls' 'dead purge --all'; do
	read -ra call <<<"$words"
	weir "${call[@]}" other
	expect_code 69
	expect_err 'other is not a state folder'
	[ "$(ls other)" = file ] || fail "$words made: $(ls other)"
done
stop_once '.read == 200 and .succeeded >= 5'
expect_code 5
unfinished=$(jq .unfinished summary.json)
weir state verify state
expect_code 0
expect_out "^  unfinished +$unfinished\$"
expect_out "^  read +200\$"
expect_out "closed +by its run"
weir state export state
expect_code 0
expect_lines "$unfinished" stdout
expect_json stdout 'all(.[]; .item.order_id == .position)'
weir state rm state
expect_code 64
expect_err 'unfinished'
expect test -e state/state.db

# A byte of an item changes on the disk.
cp -r state whole
offset=$(grep -abo '"order_id": 199' state/state.db | head -n 1 | cut -d: -f1)
printf 7 | dd of=state/state.db bs=1 seek=$((offset + 12)) conv=notrunc status=none
weir state verify state
expect_code 74
expect_out 'checksum'
rm -rf state
mv whole state

run
expect_code 0
expect_rows 200
weir state rm state
expect_code 0
expect test ! -e state
