# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir status` of a run that is not alive: how it ended, how far it came, what to type next.  It changes nothing.
mock --latency 20ms
orders 300
weir status
expect_code 69
expect_err 'no run in .weir/ below this folder'
for name in shop other; do
	pipeline_orders 'flow: { concurrency: 5 }'
	mv pipeline.yaml $name.yaml
	sed -i "s/out\.db/$name.db/; s/dead\.jsonl/$name.dead.jsonl/" $name.yaml
done
has_done_some() { [ "$("$WEIR" status --json "$1" | jq '.state == "running" and .succeeded > 5')" = true ]; }
end_with() { # SIGNAL NAME
	start "$WEIR" run "$2.yaml"
	wait_until 10 has_done_some "$2"
	kill "-$1" "$started_pid"
	CODE=0
	wait "$started_pid" 2>/dev/null || CODE=$?
}

# Stopped: the only run there is.
end_with TERM shop
expect_code 5
cp .weir/shop/state.db before
for word in '' shop shop.yaml .weir/shop; do
	# shellcheck disable=SC2086 # no word at all is one of them
	weir status $word
	expect_code 0
	expect_out '^shop: stopped [0-9]{2}:[0-9]{2}, [0-9]+ of 300 done, 0 failed; weir run shop\.yaml resumes it$'
	expect_out '^  reason: SIGTERM$'
done
expect cmp before .weir/shop/state.db
weir status --json shop
expect_json stdout '.state == "stopped" and .reason == "SIGTERM" and .total == 300 and .next == "weir run shop.yaml"
	and .read == .succeeded + .dead + .dropped + .unfinished'

# Killed: what is in the log of the store counts, and stays there.
end_with KILL other
expect test -s .weir/other/state.db-wal
cp .weir/other/state.db-wal before
weir status other
expect_code 0
expect_out '^other: killed, [0-9]+ of 300 done, 0 failed; weir run other\.yaml resumes it$'
expect cmp before .weir/other/state.db-wal
weir status
expect_code 0
expect_out '^RUN +STATE +ENDED +DONE +FAILED +NEXT$'
expect_out '^other +killed +[0-9]+ of 300 +0  weir run other\.yaml$'
expect_out '^shop +stopped +[0-9]{2}:[0-9]{2} +[0-9]+ of 300 +0  weir run shop\.yaml$'
weir status --json
expect_lines 2 stdout
for name in shop other; do
	weir run $name.yaml
	expect_code 0
	weir status $name
	expect_out "^$name: done [0-9]{2}:[0-9]{2}, 300 items, 0 failed\$"
done

# Failed: somebody else has written to its output.
mkdir below
cat >below/rows.yaml <<'YAML'
source: { range: 1-300 }
steps: [ { http: { url: '${env:MOCK_URL}/orders/${.}' } } ]
sink: { jsonl: { path: rows.jsonl } }
flow: { concurrency: 5 }
YAML
start "$WEIR" run below/rows.yaml
wait_until 5 test -s below/rows.jsonl
echo more >>below/rows.jsonl
finish
expect_code 74
weir status below/rows.yaml
expect_code 0
expect_out '^rows: failed [0-9]{2}:[0-9]{2}, .* of 300 done, 0 failed; weir run below/rows\.yaml resumes it$'
expect_out '^  reason: .*rows\.jsonl'

# Stopped by stop_when, with its state elsewhere; dead letters that became items again are still to be done.
cat >bad.yaml <<'YAML'
source: { range: 1-9 }
steps: [ { jq: 'error("no")' } ]
sink: { jsonl: { path: bad.jsonl } }
flow: { concurrency: 1 }
stop_when: { dead_in_a_row: 3 }
YAML
weir run bad.yaml --state elsewhere
expect_code 6
weir status elsewhere
expect_out '^bad: stopped .*, [3-8] of 9 done, [3-8] failed; weir run bad\.yaml --state elsewhere resumes it$'
expect_out '^  reason: .*dead letters'
weir dead replay elsewhere
weir status elsewhere
expect_out '^bad: stopped .* 0 of 9 done, 0 failed'

# Stopped while its source was read: how many items there are is still known; after a kill only what was read.
cat >long.yaml <<'YAML'
source: { range: 1-100000000 }
steps: [ { http: { url: '${env:MOCK_URL}/orders/${.}' } } ]
sink: { jsonl: { path: long.jsonl } }
flow: { concurrency: 5 }
YAML
end_with TERM long
weir status long
expect_out '^long: stopped [0-9:]+, [0-9,]+ of 100,000,000 done, 0 failed; '
end_with KILL long
weir status long
expect_out '^long: killed, [0-9,]+ of [0-9,]+\+ done, 0 failed; '

# One that was never begun, one that is damaged, and a folder that is none.
mkdir -m 0700 .weir/new .weir/none
touch .weir/new/lock
weir status new
expect_code 0
expect_out '^new: no run has begun$'
printf 'no database at all' >.weir/new/state.db
weir status new
expect_code 74
weir status none
expect_code 69
weir status
expect_code 0
expect_out '^new +unreadable +weir status new$'
expect_lines 5 stdout
