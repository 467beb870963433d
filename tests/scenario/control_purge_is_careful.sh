# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# On the control socket a purge says what it means: a number that is none is no word for all.
mock --latency 100ms
orders 1000
sed -i '1,4s/.*/{"none": 1}/' orders.jsonl
pipeline_orders 'flow: { concurrency: 1 }'
sed -i '/^dead_letter/d' pipeline.yaml
start_run
wait_until 10 status_says '.dead == 4'
ask() {
	python3 - "$1" <<'PY'
import socket, sys
s = socket.socket(socket.AF_UNIX)
s.connect("state/ctl")
s.sendall(sys.argv[1].encode() + b"\n")
print(s.makefile().read(), end="")
PY
}
for query in '{"id":"256"}' '{"id":-1}' '{"id":1e99}' '{"id":0}' '{"id":true}' '{}' '{"all":"yes"}' '{"all":false}' \
	'{"group":7}' '{"group":"256"}' '{"reason":7}' '[]' '{"limit":-1,"all":true}' 'nothing' '{"id":257,"all":true}'; do
	ask "letters purge $query" >answer
	grep -q '"error"' answer || fail "purge $query: $(cat answer)"
done
for request in 'letters mend {}' 'letters mend {"mends":[{"id":"1","item":1}]}' 'letters mend {"mends":[{"id":1}]}' \
	'letters replay {"id":"x"}' 'letters burn {}'; do
	ask "$request" >answer
	grep -q '"error"' answer || fail "$request: $(cat answer)"
done
expect status_says '.letters == 4'
ask 'letters purge {"id":257}' >answer
expect_json answer '.n == 1'
ask 'letters purge {"all":true}' >answer
expect_json answer '.n == 3'
expect status_says '.letters == 0 and .dead == 4'
kill_run
