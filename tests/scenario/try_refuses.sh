# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Bad cases of `weir try`: what is wrong is said as `weir check` says it, and nothing is sent.
mock
pipeline <<YAML
source: { jsonl: items.jsonl }
steps: [ http: '$MOCK_URL/orders/\${.id}' ]
sink: { jsonl: out.jsonl }
YAML
weir try pipeline.yaml
expect_refused pipeline.yaml:1:18 'cannot read "items.jsonl": no such file'
cp stderr said
weir check pipeline.yaml
expect diff said stderr
weir try nix.yaml
expect_code 78
echo '{"id": 1}' >items.jsonl

refuses() {
	local what=$1
	shift
	weir try "$@"
	expect_code 64
	expect_err "$what"
}
refuses 'which FILE'
refuses 'one FILE, not several' pipeline.yaml pipeline.yaml
refuses '-n: "0" is not a whole number from 1 to 1000' -n 0 pipeline.yaml
refuses '--item: "\{" is not JSON' --item '{' pipeline.yaml
refuses '-n and --item exclude each other' -n 2 --item 1 pipeline.yaml
[ "$(mock_stat .requests)" = 0 ] || fail "something was sent"

# Fewer items than asked for; none.
weir try -n 5 pipeline.yaml
expect_code 0
expect_out '^item 1: '
: >items.jsonl
weir try pipeline.yaml
expect_code 0
expect_err 'the source has no items'

# A run of the same pipeline may be there, alive or not: it is not touched.
echo '{"id": 1}' >items.jsonl
run
expect_code 0
rm summary.json
weir try pipeline.yaml
expect_code 0
expect_lines 1 out.jsonl

# A source that goes on for ever, and one that has not ended.
sed 's/{ jsonl: items.jsonl }/stdin/' pipeline.yaml >pipe.yaml
CODE=0
yes '{"id": 1}' 2>/dev/null | "$WEIR" try -n 1 pipe.yaml >stdout 2>stderr || CODE=$?
expect_code 0
mkfifo fifo
sleep 100 >fifo &
pids+=($!)
echo '{"id": 1}' >one
(cat one && exec sleep 5) >fifo &
pids+=($!)
CODE=0
timeout 4 "$WEIR" try -n 1 pipe.yaml <fifo >stdout 2>stderr || CODE=$?
expect_code 0
expect_out '^item 1: '

# Ctrl-C ends it, whatever it waits for.
sed 's|orders|fault/stall|' pipeline.yaml >stall.yaml
start "$WEIR" try stall.yaml
wait_until 5 eval '[ "$(mock_stat ".in_flight.now")" = 1 ]'
kill -INT "$started_pid"
finish
expect_code 5
expect_err 'stopped: SIGINT; 1 unfinished'
expect_out '^item 1: {"id":1}' # it was shown before its call had ended
