# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What is wrong stands in the third line, in yellow, with what to do or when it is tried again; it may take more lines.
. "$TREE/tests/support/screens.sh"
mock --limit 1/h --retry-after 3600
orders 1000
trouble() {
	local name=$1 url=$2
	shift 2
	cat >"$name.yaml" <<YAML
name: $name
source: { jsonl: orders.jsonl }
steps: [ http: { url: '$url/orders/\${.order_id}' } ]
flow: { concurrency: 20, breaker: { open: 40s..40s } }
sink: { jsonl: $name.jsonl }
YAML
	screen "$name" 80 "$@" -- "$WEIR" run "$name.yaml"
}
trouble down "$(refused_url)"
trouble ascii "$(refused_url)" LANG=C NO_COLOR=1
trouble busy "$MOCK_URL"

wait_until 20 screen_has down '! 127.0.0.1:1 fails'
for columns in 120 80 60 40; do
	screen_width down "$columns"
	sleep 0.5
	screen_keep down "$columns columns"
done
wait_until 20 screen_has ascii '! 127.0.0.1:1 fails'
screen_keep_colours ascii 'NO_COLOR, LANG=C'
wait_until 20 screen_has busy '! 127.0.0.1:PORT asks'
screen_keep_colours busy 'a rate limit'
expect_screens trouble
