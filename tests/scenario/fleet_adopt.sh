# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# weir submit --adopt while workers are at it: those with the old file finish what is in flight and end with 5, also one
# that was suspended and taken for dead meanwhile; those with the new file carry on.  Each item is one row.
start_redis
mock --latency 50ms
orders 900
fleet_orders 'flow: { concurrency: 40, rate: 100/s, burst: 10 }' 'name: adopt'
sed -i "s/REDIS_URL}'/&, lease: 1s/; s/, columns: \[id, total\]//; s/add)}/add), v: 1}/" pipeline.yaml
weir submit pipeline.yaml --detach
expect_code 0
fleet_work one
one=$work_pid
fleet_work two
two=$work_pid
wait_until 20 fleet_says '.succeeded > 20 and ([.workers[] | select(.settled > 0)] | length) == 2'
kill -STOP "$two"
wait_until 10 fleet_says '(.workers | length) == 1'

# A worker with another file is refused, and changes nothing of the run.
sed 's/v: 1/v: 2/' pipeline.yaml >new.yaml
weir work new.yaml
expect_code 78
expect_err 'the name "adopt" belongs to the run of pipeline.yaml'
mv new.yaml pipeline.yaml
weir work pipeline.yaml
expect_code 78
expect_err 'the pipeline has changed since the run began: .*steps.2.program'
expect fleet_says '.state == "running"'

sed -i 's,100/s,2000/s,' pipeline.yaml
weir submit pipeline.yaml --adopt --detach
expect_code 0
kill -CONT "$two"
work_ends "$one" 5
work_ends "$two" 5
expect_json one.json '.reason == "the pipeline was changed with --adopt"'
expect_json two.json '.reason == "the pipeline was changed with --adopt"'
expect fleet_says '.state == "stopped" and .workers == [] and .unfinished > 0'
fleet_work three
work_ends "$work_pid" 0
expect_sql 'SELECT count(*), count(DISTINCT id), min(v), max(v) FROM orders' '900|900|1|2'
