# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A Redis that is away, and one that reads its dataset again: workers without items and workers that start wait for it,
# and say so; a worker that finds no server is told at once.
orders 60
mock
fleet_orders
start_redis --enable-debug-command yes --rdbcompression no
fleet_work idle
idle=$work_pid
wait_until 10 fleet_says "[.workers[] | select(.pid == $idle)] | length == 1"

# It is away: the idle worker says so, once.
redis_leave
wait_until 10 grep -q 'broker: .*redis.sock.*; trying again until it works' idle.out
says() {
	"$WEIR" status --json ".weir/pipeline/$1" | jq -e "$2"
}
wait_until 10 says "$idle" '.flow.why == "broker"'
"$WEIR" status ".weir/pipeline/$idle" | grep -q 'broker: ' || fail "status does not name the broker"
weir work pipeline.yaml --progress plain
expect_code 69
expect_err 'cannot connect to Redis'

# It is back, and has no time until it is told to read faster: who starts waits for it.
redis_loads
fleet_work late
late=$work_pid
fleet_work stopped
wait_until 10 grep -q LOADING stopped.out
kill -TERM "$work_pid" # which ends the wait
work_ends "$work_pid" 5
wait_until 10 grep -q 'broker: Redis at .*: LOADING .*; trying again until it works' late.out
redis_has_loaded
weir submit pipeline.yaml --progress plain --detach
expect_code 0
work_ends "$idle" 0
work_ends "$late" 0
for one in idle late; do
	expect test "$(grep -c 'trying again until it works' $one.out)" = 1
	expect test "$(grep -c 'broker: works again' $one.out)" = 1
done
expect_rows 60
