# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Answers that are saved to a disk without room: the run waits with what has come, and continues when there is room;
# requests are not made in vain meanwhile.  A disk that fails costs an attempt, a folder that may not be written the item.
file_server
mkdir out
pipeline <<'YAML'
source: { lines: { path: items } }
steps: [ http: { url: '${env:SERVER}/${raw:.}', save: 'out/${meta.position}' } ]
flow: { concurrency: 2, retry: { attempts: 2, backoff: 1ms } }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl, on_start: replace } }
YAML
seq 40 | sed 's|.*|file/1000&0/&|' >items

# MODE VARIABLE ...: a run whose disk does that, from its beginning.
disturbed() {
	rm -rf state out out.jsonl dead.jsonl disk.log requests.log
	mkdir out
	run_disturbed "$@"
	expect grep -q 'out/' disk.log
	expect_code 0
	expect_lines 40 out.jsonl
	jq -r '"\(.sha256)  \(.path)"' out.jsonl | expect sha256sum --quiet -c -
	expect test "$(find out -type f | wc -l)" = 40
}

# In the middle of a body that goes there while it comes, at its end, and in a short one.
disturbed enospc CRASH_ONLY=out/ CRASH_AT=5 CRASH_FOR=2
expect_lines 40 requests.log
disturbed enospc CRASH_ONLY=out/ CRASH_AT=6 CRASH_FOR=2
expect_lines 40 requests.log
disturbed eio CRASH_ONLY=out/ CRASH_AT=9
expect_lines 41 requests.log

# That the time of the request is over meanwhile is not the upstream's fault, and uses up no attempt.
mv items items.all
seq 40 | sed 's|.*|file/1000000/&|' >items
sed -i "s|save: |timeout: 500ms, &|; s|attempts: 2|attempts: 1|" pipeline.yaml
disturbed enospc CRASH_ONLY=out/ CRASH_AT=5 CRASH_FOR=4
expect test "$(wc -l <requests.log)" -gt 40
expect_summary '.retries == 0 and .refused > 0 and .attempts == 40'
mv items.all items
sed -i "s|timeout: 500ms, ||" pipeline.yaml

# As long as there is none, two items wait, and status says why.  A stop ends that.
rm -rf state out out.jsonl requests.log
mkdir out
start env LD_PRELOAD="${WEIR%/*}/tests/crash/weir-crash.so" CRASH_FOLDER="$(pwd -P)" CRASH_COMM=weir \
	CRASH_MODE=enospc CRASH_LOG=disk.log CRASH_ONLY=out/ CRASH_AT=1 CRASH_FOR=1000000 "$WEIR" "${RUN[@]}"
wait_until 10 status_says '.degraded and .flow.why == "disk full" and (.flow.disk | startswith("out/"))'
wait_until 10 grep -q 'disk full: cannot write to out/[0-9]*; the run waits until there is room' stderr
expect_lines 2 requests.log
kill -INT "$started_pid"
wait_until 10 grep -q 'interrupted' stderr
kill -INT "$started_pid"
wait "$started_pid" || true
expect test "$(find out -name '[0-9]*' | wc -l)" = 0
run
expect_code 0
expect_lines 40 out.jsonl
expect test "$(find out -type f | wc -l)" = 40
