# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Runs that save answers and are killed: each file is whole or not there, in the end each item has one row and one file,
# also where the server answers otherwise the second time, and nothing else is left in the folder.
file_server

# $1: what is asked for.
pipeline_for() {
	pipeline <<YAML
source: { lines: { path: items } }
steps: [ http: { url: '\${env:SERVER}/\${raw:.}', save: 'out/\${meta.position}' } ]
flow: { concurrency: $1 }
sink: { jsonl: { path: out.jsonl }, batch: { items: 16, period: 5ms } }
YAML
}

# Of every file that is there, that it has one of these sizes.
expect_whole() {
	find out -name '[0-9]*' -size -1024G -printf '%s\n' | grep -vxE "$1" >torn || true
	expect test ! -s torn
}

expect_done() {
	expect_code 0
	expect_lines "$1" out.jsonl
	expect test "$(find out | wc -l)" = $(($1 + 1))
	jq -r '"\(.sha256)  \(.path)"' out.jsonl | expect sha256sum --quiet -c -
}

# At every call that changes the folder.
printf 'new/%s\n' 1 2 >items
echo file/200000/a >>items
pipeline_for 1
for ((at = 1; at <= 60; at++)); do
	rm -rf state out out.jsonl
	mkdir out
	run_disturbed kill CRASH_ONLY=out/ CRASH_AT=$at
	[ "$CODE" = 137 ] || break
	expect_whole '[0-9]+'
	expect test "$(find out -name 3 ! -size 200000c | wc -l)" = 0
	run
	expect_done 3
done
expect test "$at" -gt 12
expect_code 0

# At any moment, with many under way.
rm -rf state out out.jsonl
mkdir out
for i in $(seq 300); do
	echo "file/$((i % 3 * 100000 + 100))/$i"
done >items
pipeline_for 20
for _ in 1 2 3 4; do
	start_run
	sleep "0.$((RANDOM % 20 + 10))"
	kill -KILL "$started_pid" 2>/dev/null || true
	wait "$started_pid" 2>/dev/null || true
	expect_whole '100|100100|200100'
done
run
expect_done 300
