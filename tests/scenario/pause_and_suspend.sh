# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir pause` and `weir resume`; a run that is suspended (Ctrl-Z) is said to be so by each verb, without a wait.
mock --latency 20ms
orders 2000
pipeline_orders 'name: shop' 'flow: { concurrency: 5 }'
start "$WEIR" run pipeline.yaml --quiet
wait_until 5 test -S .weir/shop/ctl
weir pause
expect_code 0
expect_out '^shop: .*, paused$'
is_idle() { [ "$("$WEIR" status --json shop | jq .http_in_flight)" = 0 ]; }
wait_until 5 is_idle
weir status
expect_out 'paused; weir resume shop continues'
weir resume pipeline.yaml
expect_code 0
expect_out '^shop: concurrency 5, rate none$'
weir pause shop paused=true
expect_code 64
weir set shop paused=true rate=fast
expect_code 64

kill -STOP "$started_pid"
began=${EPOCHREALTIME/./}
for _ in {1..20}; do
	weir status shop
	expect_code 0
	expect_out "^shop \\(pid $started_pid\\) is suspended \\(Ctrl-Z\\): .fg., or kill -CONT $started_pid, continues it\$"
done
expect test $((${EPOCHREALTIME/./} - began)) -lt 20000000
weir status --json shop
expect_json stdout '.state == "suspended"'
for words in 'pause shop' 'set shop rate=5/s' 'dead shop'; do
	# shellcheck disable=SC2086
	weir $words
	expect_code 75
	expect_err 'is suspended'
done
kill -CONT "$started_pid"
weir status shop
expect_code 0
expect_out '^shop: running'
kill -TERM "$started_pid"
finish
expect_code 5
weir pause shop
expect_code 69
expect_err 'no run is active in .weir/shop'

# One that listens and does not answer.
mkdir -m 0700 .weir/deaf
start python3 -c '
import fcntl, os, socket, time
lock = open(".weir/deaf/lock", "w")
fcntl.flock(lock, fcntl.LOCK_EX)
print(os.getpid(), file=lock, flush=True)
ear = socket.socket(socket.AF_UNIX)
ear.bind(".weir/deaf/ctl")
ear.listen()
time.sleep(60)'
wait_until 5 test -S .weir/deaf/ctl
weir status deaf
expect_code 0
expect_out "^deaf \\(pid $started_pid\\) does not answer\$"
weir status
expect_out '^deaf +silent +weir status deaf$'
weir pause deaf
expect_code 75
