# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The output of an unfinished run is cut short, changed, or gone: refused, with the reason, and left as it is.  Longer is
# what a kill leaves.
mock --latency 50ms
orders 500
pipeline_orders 'flow: { concurrency: 5 }'
sed -i 's/^sink:.*/sink: { jsonl: { path: out.jsonl } }/' pipeline.yaml
stop_once '.succeeded >= 10'
expect_code 5
cp out.jsonl whole.jsonl

truncate -s -3 out.jsonl
run
expect_code 78
expect_err 'out.jsonl.*truncated'
sed 's/"id": *1\b/"id":9/' whole.jsonl | tr 0 9 >out.jsonl
run
expect_code 78
expect_err 'out.jsonl.*(chang|replaced)'
rm out.jsonl
run
expect_code 78
expect_err 'out.jsonl'

# What somebody has added is not weir's to remove; what a kill has left is.
cat whole.jsonl >out.jsonl
echo '"mine"' >>out.jsonl
run
expect_code 78
expect_err 'out.jsonl has 7 more bytes'
expect grep -qx '"mine"' out.jsonl
cat whole.jsonl >out.jsonl
start_run
wait_until 10 test -S state/ctl
kill_run
printf '{"id": 77, "to' >>out.jsonl
sed -i 's/concurrency: 5/concurrency: 100/' pipeline.yaml
run
expect_code 0
expect_err 'removing the last [0-9]+ bytes of out.jsonl'
expect_lines 500 out.jsonl
expect_oracle --sink out.jsonl --key order_id=id
