# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A sink that can take no more: the run says so, once, and waits for room; Ctrl-C ends it within a second or two with 74,
# and what was not written is not counted as written.
expect test -c /dev/full
pipeline <<'YAML'
source: { range: 1-1000 }
steps: [ jq: '{n: .}' ]
sink: { jsonl: { path: /dev/full } }
YAML
start_run
wait_until 10 status_says '.degraded and .flow.why == "disk full" and .flow.disk == "/dev/full"'
"$WEIR" status state >said
expect grep -qx '  ! disk full: cannot write to /dev/full' said
wait_until 10 grep -q 'disk full: cannot write to /dev/full' stderr
sleep 1
kill -INT "$started_pid"
stopped=${EPOCHREALTIME/./}
finish
expect test $((${EPOCHREALTIME/./} - stopped)) -lt 3000000
expect_code 74
expect_err 'no space left'
expect test "$(grep -c 'disk full: ' stderr)" = 1

# On a terminal the block has it, whichever shell $SHELL is: in the foreground, for in the background weir draws nothing.
rm -r state
TERM=xterm script -qec "stty cols 80 rows 24; timeout --foreground -s INT 1 '$WEIR' run pipeline.yaml --state state" typescript >/dev/null 2>&1 \
	</dev/null || true
sed 's/\x1b\[[0-9;?]*[A-Za-z]//g' typescript | tr '\r' '\n' >shown
expect grep -q '  disk full  *0:0' shown
expect grep -qx '        ! disk full: cannot write to /dev/full' shown
expect grep -q '^weir: disk full: cannot write to /dev/full' shown
expect_summary '.succeeded == 0 and .unfinished == .read'
