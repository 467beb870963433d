# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# examples/fleet/run does what it says, in 80 columns, and leaves no process, port or file behind; nor when it is
# interrupted.
nothing_is_left() {
	! find /proc/[0-9]*/cwd -maxdepth 0 -lname "$PWD/tmp.*" 2>/dev/null | grep -q .
}
expect_nothing_left() {
	wait_until 5 nothing_is_left # a child of a killed weir sees that its input ends
	expect test "$(find . -maxdepth 1 -name 'tmp.*' | wc -l)" = 0
	local port
	port=$(grep -oE '^redis://127.0.0.1:[0-9]+' stdout | cut -d : -f 3)
	! (exec 3<>"/dev/tcp/127.0.0.1/$port") 2>/dev/null || fail "somebody listens on port $port"
}
# What the script has started ends with it, unless it is killed.
end_script() {
	kill -TERM "$started_pid" 2>/dev/null || true
	wait "$started_pid" 2>/dev/null || true
	clean_up
}
trap end_script EXIT
export WEIR
start "$TREE/examples/fleet/run" 1200
finish
expect_code 0
expect_err '^1200 rows, 0 of them twice$'
expect_out 'this worker was taken for dead; what it held went to the others'
expect test "$(cat stdout stderr | wc -L)" -le 80
expect_nothing_left

has_workers() {
	grep -q '^orders: running' stdout
}
start "$TREE/examples/fleet/run" 1200
wait_until 20 has_workers
kill -INT "$started_pid"
finish
expect_code 130
expect_nothing_left
