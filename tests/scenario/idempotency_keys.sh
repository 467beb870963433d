# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# All requests of an item carry one key, over retries, a kill and a replay, and no other item has it; a dead letter that
# is replayed with another item gets a new one.

# keys_of SELECT: of the logged POSTs for which the jq expression is true, the item and its key, without doubles.
keys_of() {
	jq -r "select(.method == \"POST\") | (.body | fromjson) as \$item | select($1) |
		\"\(\$item.id) \(.headers[\"idempotency-key\"])\"" mock.jsonl | sort -u
}

mock --log mock.jsonl --latency 20ms --errors 20% --seed 3
seq 60 | sed 's/.*/{"id": &}/' >orders.jsonl
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps:
  - http: { url: '${env:MOCK_URL}/echo', method: POST, body: '${.}' }
flow: { concurrency: 10, breaker: off, retry: { attempts: 20, backoff: 10ms..20ms } }
sink: { jsonl: { path: out.jsonl } }
YAML
start_run
wait_until 10 sh -c '[ "$(wc -l <mock.jsonl)" -gt 30 ]'
kill_run
run
expect_code 0
expect_lines 60 out.jsonl
expect test "$(wc -l <mock.jsonl)" -gt 70
keys_of true >keys
expect_lines 60 keys
expect test "$(cut -d' ' -f2 keys | sort -u | wc -l)" = 60
expect grep -qE '^60 [0-9a-f]{32}-[0-9]+$' keys

# A run that starts over has others.
mock_stop
rm mock.jsonl
mock --log mock.jsonl
run --fresh
expect_code 0
keys_of true >keys.fresh
expect_lines 60 keys.fresh
expect test "$(sort keys keys.fresh | uniq -d | wc -l)" = 0

# Dead letters: item 1 is replayed as it is, twice; the others with a program, which changes 2 and not 3.
mock_stop
rm -rf state out.jsonl mock.jsonl
mock --log mock.jsonl --errors /fault=100% --error-status 422
seq 3 | sed 's/.*/{"id": &, "to": "fault"}/' >orders.jsonl
sed -i 's|/echo|/${.to}|; s|^flow.*||' pipeline.yaml
echo 'stop_when: { dead: 0% }' >>pipeline.yaml
letter() {
	weir dead export state
	jq -r "select(.item.id == $1) | $2" stdout
}
run
expect_code 3
weir dead replay state "$(letter 1 .id)"
run
weir dead replay state "$(letter 1 .id)"
weir dead replay state --jq 'if .id == 2 then .to = "echo" else . end'
expect_out '^2 items will be replayed'
run
expect_code 3
expect_lines 1 out.jsonl
keys_of true | cut -d' ' -f1 | uniq -c | awk '{ print $2, $1 }' >counts
printf '1 1\n2 2\n3 1\n' | expect cmp - counts
expect test "$(grep -c '"POST"' mock.jsonl)" = 7
expect test "$(letter 1 '.history | length')" = 2
# The letter shows which key the server has seen.
expect test "$(letter 1 .evidence.key)" = "$(keys_of '$item.id == 1' | cut -d' ' -f2)"

weir dead show state "$(letter 1 .id)"
expect_out "^  Idempotency-Key: $(keys_of '$item.id == 1' | cut -d' ' -f2)\$"

# A key of the item's own; the second step and the second of several values have theirs.
rm -rf state out.jsonl mock.jsonl
mock_restart
seq 2 | sed 's/.*/{"id": &}/' >orders.jsonl
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
key: 'order ${.id}'
steps:
  - http: { url: '${env:MOCK_URL}/first', method: POST, body: '{"id": "first"}' }
  - jq: '("a", "b") | {id: ., key: $meta.key}'
  - http: { url: '${env:MOCK_URL}/echo', method: PATCH, body: '${.}', headers: { X-Key: '${meta.key}' } }
sink: { jsonl: { path: out.jsonl } }
YAML
run
expect_code 0
keys_of true >keys
printf 'first order 1\nfirst order 2\n' | expect cmp - keys
jq -r '"\(.headers | .["idempotency-key"], .["x-key"])"' out.jsonl | paste - - | LC_ALL=C sort >keys
printf 'order %s\n' $'1-3\torder 1' $'1.2-3\torder 1.2' $'2-3\torder 2' $'2.2-3\torder 2.2' | expect cmp - keys

# It belongs to what is done to an item.
sed -i 's/order \${/o-${/' pipeline.yaml
run
expect_code 78
expect_err 'it was "key: order \$\{\.id\}", now it is "key: o-\$\{\.id\}"'

# weir get sends them, too.
rm mock.jsonl
mock_restart
seq 3 | sed "s|.*|$MOCK_URL/orders/&|" >urls
weir get -i urls -o pages.jsonl --method POST --allow-private
expect_code 0
expect test "$(jq -r '.headers["idempotency-key"]' mock.jsonl | grep -cE '^[0-9a-f]{32}-[0-9]+$')" = 3
rm mock.jsonl
mock_restart
weir get -i urls -o others.jsonl --method POST --allow-private --header 'Idempotency-Key: mine'
expect test "$(jq -r '.headers["idempotency-key"]' mock.jsonl | sort | uniq -c | xargs)" = '3 mine'
