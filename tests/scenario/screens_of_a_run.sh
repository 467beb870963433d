# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A run on terminals of several widths: columns stay, no line wraps, a narrow one gets one line; colours, ASCII, a dumb
# terminal; then paused, in the background, and stopped.
. "$TREE/tests/support/screens.sh"
mock
# 528 orders, 7 that are not there, 5 for later; then nothing more is answered.
{
	seq -f '/orders/%.0f' 528
	seq -f '/status/404/%.0f' 7
	seq -f '/status/500/%.0f' 5
	seq -f '/fault/stall/%.0f' 460
} | jq -R -c --arg host "$MOCK_URL" '{url: ($host + .)}' >items.jsonl
pipeline <<'YAML'
name: orders
source: { jsonl: items.jsonl }
steps: [ http: { url: '${.url}', timeout: 5m } ]
flow: { concurrency: 100, retry: { backoff: 100s..100s, jitter: none } }
sink: { jsonl: '${env:OUT}' }
YAML
sed 's/^name: .*/name: a-name-of-no-small-length-at-all/' pipeline.yaml >long.yaml
start_screen() {
	local name=$1
	shift
	screen "$name" 80 OUT="$name.jsonl" "$@" --state "$name" --allow-private
}
start_screen run -- "$WEIR" run pipeline.yaml
start_screen plain NO_COLOR=1 LANG=C -- "$WEIR" run pipeline.yaml
start_screen long -- "$WEIR" run long.yaml
start_screen dumb TERM=dumb -- "$WEIR" run pipeline.yaml
shell_says() {
	[ "$("$WEIR" status --json shell | jq "$1")" = true ]
}
stands() {
	wait_until 20 screen_has "$1" '^[^ ]+ .* 535/1,000'
}
stands run
stands long
stands plain
for columns in 120 80 60 59 40; do
	screen_width run "$columns"
	sleep 0.5
	screen_keep run "$columns columns"
done
screen_keep long 'a long name'
screen_keep_colours plain 'NO_COLOR, LANG=C'
screen_width run 80
sleep 0.5
screen_keep_colours run 'colours'
screen_keep dumb 'TERM=dumb'

"$WEIR" set run paused=true >/dev/null
wait_until 5 screen_has run "! paused"
screen_keep run 'paused'
screen_key run C-c
wait_until 5 screen_has run stopping
screen_keep run 'interrupted'
screen_key run C-c
wait_until 5 screen_has run '^\^C$'
screen_keep run 'interrupted again'

# In the background nothing is drawn; in the foreground it is, again.
screen shell 80 OUT=shell.jsonl PS1='$ ' -- bash --noprofile --norc
screen_key shell "'$WEIR' run pipeline.yaml --state shell --allow-private &"
screen_key shell Enter
wait_until 20 shell_says '.succeeded == 528'
sleep 0.5
if screen_has shell limited; then fail "it draws in the background"; fi
screen_key shell fg
screen_key shell Enter
wait_until 5 screen_has shell '^        limited by your concurrency .100., SHARE$'
expect_screens run
