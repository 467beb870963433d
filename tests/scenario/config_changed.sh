# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A pipeline that has changed in what it does with an item is not gone on with by accident; how fast it does is no change.
mock --latency 100ms
orders 100
pipeline_orders 'flow: { concurrency: 5 }'
stop_once '.succeeded >= 5'
expect_code 5
sqlite3 out.db 'SELECT * FROM orders' | sort >before
sed -i 's/concurrency: 5/concurrency: 50/; s/\.price\]/.price * 2]/' pipeline.yaml
run
expect_code 78
expect_err 'changed.*\* 2.*--adopt'
run --adopt
expect_code 0
expect_rows 100
expect_summary '.succeeded == 100 and .resumed'
# What was done before the change stays as it was.
sqlite3 out.db 'SELECT * FROM orders' | sort >after
expect test "$(comm -12 before after | wc -l)" = "$(wc -l <before)"

# Once it is done, a changed pipeline is another one.
sed -i 's/price \* 2/price * 3/' pipeline.yaml
run
expect_code 78
expect_err 'complete.*--fresh'
run --fresh
expect_code 0
