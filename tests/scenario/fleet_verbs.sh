# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What is done to a run that several processes work on: weir status, set, pause, resume, dead and state take its file.
orders 300
mock --errors 10% --error-status 400
pipeline_orders
for verb in submit work; do
	weir "$verb" pipeline.yaml
	expect_code 78
	expect_err "weir $verb needs a broker that several processes share.*write broker: redis"
done
start_redis
fleet_orders 'flow: { concurrency: 20, rate: 20/s, burst: 5 }'
weir status pipeline.yaml
expect_code 0
expect_out 'no run has begun'
weir set pipeline.yaml rate=5/s
expect_code 69

# The submit waits for the end; another one is refused, and says who is at it.
start "$WEIR" submit pipeline.yaml --quiet
submit=$started_pid
fleet_work one
one=$work_pid
wait_until 20 fleet_says '.state == "running" and .succeeded > 5 and (.workers | length) == 2'
wait_until 10 fleet_says "[.workers[] | select(.alive and .pid == $one and .role == \"work\" and .in_hand > 0)] | length == 1"
weir status # of the runs below this folder it is the only one
expect_code 0
expect_out '^pipeline: running, .* weir status pipeline.yaml shows each process$'
weir submit pipeline.yaml
expect_code 75
expect_err "$submit"
weir status pipeline.yaml
expect_out '^pipeline: running, '
expect_out "^  [^ ]+ +$one  work .* alive$"
expect test "$(wc -L <stdout)" -lt 80

weir pause pipeline.yaml
expect_code 0
expect_out 'set for 2 processes'
wait_until 10 fleet_says '.state == "paused" and ([.workers[] | select(.role == "work" and .state == "paused")] | length) == 1'
weir set ".weir/pipeline/$one" rate=1/s
expect_err 'weir set pipeline.yaml rate=1/s'
weir resume pipeline.yaml
weir set pipeline.yaml rate=2000/s concurrency=50
expect_code 0
weir status --json pipeline.yaml
expect_json stdout '.settings == {"concurrency":50,"rate":{"count":2000,"period_ns":1000000000},"paused":false}'

work_ends "$one" 3
started_pid=$submit
finish
expect_code 3
weir status --json pipeline.yaml
expect_json stdout '.state == "done" and .dead > 5 and .dead == .letters and .succeeded + .dead == 300'

# The dead letters, from anywhere that reaches the broker.
dead=$(jq .dead stdout)
weir dead pipeline.yaml
expect_out " $dead  100 %"
weir dead ls pipeline.yaml --limit 3
expect test "$(wc -l <stdout)" = 4
weir dead replay pipeline.yaml
expect_code 0
expect fleet_says '.state == "stopped" and .letters == 0'
mock_stop
mock_args=()
mock_start
weir work pipeline.yaml --quiet
expect_code 0
expect_rows 300
weir state verify pipeline.yaml
expect_out 'unfinished +0'

# What one process would do by itself cannot be had.
fleet_orders 'flow: { order_by: .customer }'
weir check pipeline.yaml
expect_code 78
expect_err 'pipeline.yaml:7:9: flow.order_by needs one process'
fleet_orders
sed -i 's/^sink: {/sink: { exactly_once: required,/' pipeline.yaml
weir check pipeline.yaml
expect_code 0
sed -i 's/ sqlite: .*/ jsonl: out.jsonl }/' pipeline.yaml
weir check pipeline.yaml
expect_code 78
expect_err 'exactly_once: required cannot be had'

fleet_orders
sed -i "s/REDIS_URL}'/&, lease: 4s/" pipeline.yaml
weir check pipeline.yaml
expect_code 0
expect_err 'pipeline.yaml:2:52: warning: a lease below 5s counts as 5s'
sed -i 's,\${env:REDIS_URL},redis:/nowhere,' pipeline.yaml
weir check pipeline.yaml
expect_code 78
expect_err 'pipeline.yaml:2:[0-9]+: .*redis://'

# A worker that stays waits for the next run, and a signal ends it in order.
pipeline <<YAML
name: stays
source: { range: 1-20 }
broker: { redis: '$REDIS_URL' }
steps: [ jq: '{id: .}' ]
sink: { sqlite: { path: stays.db, table: rows, key: id } }
YAML
start "$WEIR" work pipeline.yaml --stay --quiet
weir submit pipeline.yaml --quiet
expect_code 0
weir submit pipeline.yaml --fresh --quiet
expect_code 0
expect_sql 'SELECT count(*) FROM rows' 20 stays.db
kill -TERM "$started_pid"
finish
expect_code 0
