# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Items are mended and sent again: by a program, or in a file as export wrote it; while the run is alive, too.
mock
cat >orders.jsonl <<'JSONL'
{"id": 1, "qty": "7"}
{"id": 2, "qty": 8}
{"id": 3, "qty": "nine"}
{"id": 4, "qty": "10"}
not json
{"id": 6, "qty": null}
JSONL
cat >pipeline.yaml <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps:
  - jq: 'if (.qty | type) == "number" then {id, qty} else error("qty of \(.id) is no number") end'
stop_when: { dead: 0% }
sink: { sqlite: { path: out.db, table: orders, key: id, columns: [id, qty] } }
YAML
run
expect_code 3
expect_summary '.succeeded == 1 and .dead == 5'

# A program: what it fails for, or makes several of, or nothing, stays.
weir dead replay state --jq 'if .id == 3 then .qty | tonumber elif .id == 6 then (1, 2) else .qty |= tonumber end' --reason 'qty of'
expect_code 3
expect_out '^2 items will be replayed by the next `weir run`$'
expect_out '^2 stay dead: the program gives no item for them; [0-9]+: jq: Invalid literal'
weir dead replay state --jq '{{'
expect_code 64
expect_err -- '--jq: the jq program does not compile'
run
expect_code 3
expect_rows 3
expect_sql 'SELECT qty FROM orders WHERE id IN (1, 4) ORDER BY id' "$(printf '7\n10')"

# A file: what export wrote, edited.  A bad line is refused before anything happens; an id that is none is passed over.
weir dead export state
cp stdout letters.jsonl
expect_lines 3 letters.jsonl
sed 's/"item":/"itme":/' letters.jsonl >wrong.jsonl
weir dead replay state --from wrong.jsonl
expect_code 64
expect_err 'wrong.jsonl:1: no "item"'
echo '{"id": 1' >wrong.jsonl
weir dead replay state --from wrong.jsonl
expect_code 64
expect_err 'wrong.jsonl:1: '
weir dead replay state --from nothing.jsonl
expect_code 69
jq -c 'if .position == 5 then .item = {id: 5, qty: 55} elif .position == 3 then .item.qty = 9 else empty end' \
	letters.jsonl >fixed.jsonl
printf '\n{"id": 4711, "item": 1}\n' >>fixed.jsonl
weir dead replay state --from fixed.jsonl
expect_code 0
expect_out '^2 items will be replayed by the next `weir run`$'
expect_out '^1 is not a dead letter: 4711$'
weir dead replay state --from fixed.jsonl
expect_code 69
expect_out '^3 are not dead letters: '
run
expect_code 3
expect_rows 5
expect_sql 'SELECT id, qty FROM orders WHERE id IN (3, 5)' "$(printf '3|9\n5|55')"
expect_summary '.succeeded == 5 and .dead == 1'

# Alive: the run takes them, and one dies again with its history.
rm -rf state out.db
seq 101 300 | sed 's/.*/{"id": &, "qty": 1}/' >>orders.jsonl
sed -i "s|^  - jq: .*|&\n  - http: { url: '\${env:MOCK_URL}/orders/\${.id}' }|" pipeline.yaml
mock_stop
mock --latency 100ms
echo 'flow: { concurrency: 5 }' >>pipeline.yaml
start_run
wait_until 10 status_says '.dead == 5'
weir dead replay state --jq '.qty = if .id == 6 then "again" else 5 end' --reason 'qty of'
expect_code 0
expect_out '^4 items will be replayed by the running pipeline$'
weir dead export state
jq -c '.item = {id: 777, qty: 7} | select(.position == 5)' stdout >fixed.jsonl
weir dead replay state --from fixed.jsonl
expect_code 0
expect_out '^1 item will be replayed by the running pipeline$'
weir dead replay state --from fixed.jsonl
expect_code 69
expect_out '^1 is not a dead letter: '
weir set state concurrency=200
expect_code 0
finish
expect_code 3
expect_summary '.dead == 1 and .succeeded == 205'
weir dead export state
expect_json stdout '.position == 6 and .item.qty == "again" and (.history | length) == 1'
