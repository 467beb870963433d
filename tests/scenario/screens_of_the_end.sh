# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# How a run ended: its mark, what became of the items, what failures there were, what limited it and what to type next.
. "$TREE/tests/support/screens.sh"
mock --latency 50ms
items() {
	jq -R -c --arg host "$MOCK_URL" '{url: ($host + .)}' >"$1.jsonl"
	cat >"$1.yaml" <<YAML
name: $1
source: { jsonl: $1.jsonl }
steps: [ http: { url: '\${.url}' }, jq: 'if .total == 0 then empty else . end' ]
flow: { concurrency: 20, retry: { attempts: 1 } }
sink: { jsonl: $1.out.jsonl }
YAML
}
# ends NAME TITLE [VARIABLE=VALUE ...]: runs NAME.yaml to its end.
ends() {
	local name=$1 title=$2
	shift 2
	screen "$name" 80 "$@" -- "$WEIR" run "$name.yaml" --state "$name" --allow-private
	wait_until 20 screen_has "$name" '^([^ ]+) [a-z-]+: .*(item|nothing)'
	sleep 0.3
	screen_keep "$name" "$title"
}
again() {
	tmux_ rename-session -t "$1" "$1-before"
	ends "$@"
}

seq -f '/orders/%.0f' 300 | items all
ends all 'all is well'
again all 'all was well, TERM=dumb' TERM=dumb
{
	seq -f '/orders/%.0f' 300
	seq -f '/status/404/%.0f' 5
	seq -f '/fault/html/%.0f' 3
	seq -f '/text?%.0f' 2
	echo /fault/reset
} | items a-name-of-no-small-length
ends a-name-of-no-small-length 'some failed'
screen_keep_colours a-name-of-no-small-length 'some failed, in colours'

seq -f '/status/401/%.0f' 300 | items refused
sed -i 's/concurrency: 20/concurrency: 1/' refused.yaml
printf 'stop_when: { dead_in_a_row: 10 }\n' >>refused.yaml
ends refused 'stopped by failures'
screen_keep_colours refused 'stopped by failures, in colours'

{
	seq -f '/orders/%.0f' 300
	seq -f '/fault/stall/%.0f' 20
} | items slow
sed -i '1a shutdown: { drain: 100ms }' slow.yaml
screen slow 80 LANG=C NO_COLOR=1 -- "$WEIR" run slow.yaml --allow-private
wait_until 20 screen_has slow ' 300/320 '
screen_key slow C-c
wait_until 20 screen_has slow '^. slow: '
sleep 0.3
screen_keep_colours slow 'interrupted, NO_COLOR, LANG=C'

seq -f '/orders/%.0f' 300 | items none
sed -i "s/jq: .*/jq: empty ]/" none.yaml
ends none 'all were filtered out'
expect_screens end
