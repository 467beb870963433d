# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# scripts/compare: a slower weir is found, an equal one passes, one that fails is trouble, and Ctrl-C leaves nothing.
real=$(realpath "$(dirname "$WEIR")")
mkdir temporary

# A folder with a weir and a bench-core of a known speed.
built() {
	mkdir -p "$1/bench"
	printf '#!/bin/sh\n%s\n' "$2" >"$1/weir"
	printf '#!/bin/sh\necho switch_ns %s ns\n' "$3" >"$1/bench/bench-core"
	chmod +x "$1/weir" "$1/bench/bench-core"
}

compare() {
	CODE=0
	TMPDIR=$PWD/temporary "$TREE/scripts/compare" --pairs 5 --seconds 0.01 --seed 7 "$@" >stdout 2>stderr || CODE=$?
}

# Runs and upstreams work in folders below the temporary one.
nothing_left() {
	[ -z "$(ls -A temporary)" ] && ! readlink /proc/[0-9]*/cwd | grep -F "$PWD/temporary/"
}

built fast "exec $WEIR \"\$@\"" 4.0
built slow "exec $WEIR \"\$@\"" 5.0
built broken 'echo it is broken >&2; exit 70' 4.0

compare fast slow switch_ns
expect_code 1
expect_out '^core +switch +4\.00 ns +5\.00 ns +1\.250  1\.250 \.\. 1\.250 +1\.02 +WORSE$'
expect_err 'seed 7$'

compare fast fast switch_ns
expect_code 0
expect_out '^core +switch .* 1\.000 \.\. 1\.000 +1\.02 +ok$'

compare --limit 30% fast slow switch_ns
expect_code 0
expect_out ' 1\.30 +ok$'

compare fast broken rate
expect_code 2
expect_err 'it is broken'
wait_until 2 nothing_left

TMPDIR=$PWD/temporary env --default-signal=INT "$TREE/scripts/compare" "$real" "$real" rate >stdout 2>stderr &
started_pid=$!
pids+=("$started_pid")
runs_now() {
	ls temporary/*/run1/state/lock
}
wait_until 20 runs_now
kill -INT "$started_pid"
finish
expect_code 130
wait_until 2 nothing_left
