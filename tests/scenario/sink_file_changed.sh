# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The output of an unfinished run is cut short, changed, or gone: refused, with the reason.  Longer is what a kill leaves.
mock --latency 50ms
orders 500
pipeline_orders 'flow: { concurrency: 5 }'
sed -i 's/^sink:.*/sink: { jsonl: { path: out.jsonl } }/' pipeline.yaml
stop_after 0.5
expect_code 5
cp out.jsonl whole.jsonl

truncate -s -3 out.jsonl
run
expect_code 69
expect_err 'out.jsonl.*cut off'
sed 's/"id": *1\b/"id":9/' whole.jsonl | tr 0 9 >out.jsonl
run
expect_code 69
expect_err 'out.jsonl.*(chang|replaced)'
rm out.jsonl
run
expect_code 69
expect_err 'out.jsonl'

cat whole.jsonl >out.jsonl
printf '{"id": 77, "to' >>out.jsonl
sed -i 's/concurrency: 5/concurrency: 100/' pipeline.yaml
run
expect_code 0
expect_lines 500 out.jsonl
expect_oracle --sink out.jsonl --key order_id=id
