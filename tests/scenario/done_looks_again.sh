# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A run that is done, as cron starts it: new lines are processed; a source or an output that is not as it was is refused.
# "done" with exit code 0 and nothing done is said only when there is nothing to do.
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps: [ { jq: '{id: .order_id}' } ]
sink: { jsonl: { path: out.jsonl } }
YAML
orders 300
run
expect_code 0
for last in 310 320; do
	seq $((last - 9)) $last | sed 's/.*/{"order_id": &}/' >>orders.jsonl
	run
	expect_code 0
	expect_lines $last out.jsonl
	expect_summary "(.was_done | not) and .read == $last"
done
run
expect_code 0
expect_summary .was_done

# A range that was made longer, too.
sed -i 's/^source.*/source: { range: 1-10 }/; s/order_id/x/; s/{id: .x}/{id: .}/; s/out.jsonl/range.jsonl/' pipeline.yaml
rm -rf state
run
sed -i 's/1-10/1-15/' pipeline.yaml
run --adopt
expect_code 0
expect_lines 15 range.jsonl

rm -rf state out.jsonl range.jsonl
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
sink: { jsonl: { path: out.jsonl } }
YAML
orders 20
run
expect_code 0
cp orders.jsonl whole.jsonl
cp out.jsonl rows.jsonl

mv orders.jsonl aside
orders 30
run
expect_code 78
expect_err 'orders.jsonl was replaced'
rm orders.jsonl
run
expect_code 78
mv aside orders.jsonl

truncate -s -5 orders.jsonl
run
expect_code 78
expect_err 'orders.jsonl has become shorter'
cat whole.jsonl >orders.jsonl

rm out.jsonl
run
expect_code 78
expect_err 'out.jsonl is missing.*--fresh'
head -n 10 rows.jsonl >out.jsonl
run
expect_code 78
expect_err 'out.jsonl was truncated or replaced'
expect_lines 10 out.jsonl
cp rows.jsonl out.jsonl
run
expect_code 0
expect_summary .was_done
