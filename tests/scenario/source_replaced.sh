# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Between stop and resume the source is replaced, cut short, copied, or has grown.
mock --latency 50ms
orders 6000
pipeline_orders 'flow: { concurrency: 5 }'
stop_once '.succeeded >= 5'
expect_code 5
cp orders.jsonl whole.jsonl

# Another file under the same name.
seq 5001 19000 | sed 's/.*/{"order_id": &}/' >other.jsonl
mv other.jsonl orders.jsonl
run
expect_code 78
expect_err 'orders.jsonl'
run --adopt
expect_code 78

# A copy has another inode: only with --adopt.
cp whole.jsonl orders.jsonl
run
expect_code 78
stop_once '.resumed and .attempts >= 5' --adopt
expect_code 5

# It is shorter than what was read.
truncate -s 1 orders.jsonl
run
expect_code 78
expect_err 'shorter|short'

# It has grown: the new lines belong to the run.
cat whole.jsonl >orders.jsonl
seq 6001 6010 | sed 's/.*/{"order_id": &}/' >>orders.jsonl
sed -i 's/concurrency: 5/concurrency: 200/' pipeline.yaml
run
expect_code 0
expect_rows 6010
expect_oracle --key order_id=id
