# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Where stderr is no terminal progress is plain: remarks, and a card at the end, without escape sequences.  --progress
# json is an object a line; none, as --quiet, says nothing but in one line why a run did not end well.
mock --latency 50ms
orders 60
pipeline_orders 'name: orders' 'flow: { concurrency: 2 }'
run
expect_code 0
expect jq -es 'length >= 2 and all(.[]; type == "object")' stderr
expect_json stderr '[.[] | .event] | .[-1] == "end" and (.[:-1] | all(. == "progress"))'
expect test ! -s stdout

fresh() {
	weir run pipeline.yaml --state state --fresh=discard "$@"
	if grep -q $'\x1b' stderr; then fail "there are escape sequences"; fi
}
for form in auto plain bar; do
	fresh --progress "$form"
	expect_code 0
	expect_err '^[^ ]+ orders: 60 items in [0-9.]+ s .[0-9]+/[sm]. -> out.db, table orders$'
	expect_err '^  ok           60$'
	expect_err '^  bottleneck        your concurrency .2., [0-9]+ % of the time; with twice the$'
	expect_err '^  time              [#=~%.-]{20} # upstream [0-9]+ %'
	expect test "$(grep -vc '^    ' stderr)" = 6
done

# Records go to a terminal or a pipe, of which the reader may write to the terminal: nothing is drawn between them.
weir get --range 1-3 "$MOCK_URL/orders/{}" --allow-private --progress none
expect test ! -s stderr

sed -i 's/orders\/\$/status\/404\/$/' pipeline.yaml
for silence in '--progress none' --quiet; do
	# shellcheck disable=SC2086 # words
	fresh $silence
	expect_code 3
	expect test "$(wc -l <stderr)" = 1
	expect_err '^weir: pipeline.yaml: 60 of 60 items failed: step 1 .http.: status: 404: as asked for$'
done
run --fresh=discard
expect_code 3
expect_summary '.failures == [{group: .failures[0].group, letters: 60, example: "step 1 (http): status: 404: as asked for"}]'

weir run pipeline.yaml --progress bars
expect_code 64
expect_err '^weir run: --progress: there is no form "bars", expected one of auto, bar, .*; did you mean "bar"'
