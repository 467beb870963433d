# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A dead letter says why: what was asked, what the server answered, which step it was; ls shows the beginning of it.
mock --fault /stall=stall
seq 1 6 | sed 's/.*/{"order_id": &}/' >orders.jsonl
cat >orders.yaml <<'YAML'
name: orders
source: { jsonl: { path: orders.jsonl } }
steps:
  - jq: 'if .order_id == 6 then error("six is not wanted") else . end'
  - http:
      url: '${env:MOCK_URL}/status/422?order=${.order_id}'
      method: POST
      body: '{"q": ${.order_id}}'
flow: { breaker: off }
stop_when: { dead: 0% }
sink: { jsonl: { path: out.jsonl } }
YAML
weir run orders.yaml
expect_code 3
expect_err 'weir dead orders'

# By the name of the run, and by its file; the server's own words stand beside the reason.
for run in orders orders.yaml; do
	weir dead ls "$run"
	expect_code 0
	expect_out '^ID +POSITION +ATTEMPTS +DIED \(UTC\) +REASON$'
	expect_out 'status: 422: as asked for$'
	expect_out 'jq: six is not wanted$'
done
mkdir below
(cd below && "$WEIR" dead ls ../orders.yaml) | grep -q 'as asked for' || fail "the file does not lead to its run"

weir dead export orders
expect_json stdout 'length == 6 and all(.[]; .evidence.kind and (.group | test("^[0-9a-f]{8}$")))'
expect_json stdout '[.[] | select(.evidence.kind == "http").evidence
	| select(.step == 2 and .method == "POST" and .status == 422 and .headers["content-type"] == "application/json"
		and .error == "as asked for" and (.answer | fromjson | .error == 422) and (.sent | fromjson | .q))] | length == 5'
id=$(jq -r 'select(.position == 3) | .id' stdout)
weir dead show orders "$id"
expect_code 0
expect_out '^dead letter '"$id"'$'
expect_out '^  reason +status: 422$'
expect_out '^  error +as asked for$'
expect_out '^  where +step 2 \(http\)$'
expect_out '^  POST http://127.*/status/422\?order=3$'
expect_out '^    "q": 3$'
expect_out "^  curl 'http://127.*/status/422.order=3' "
expect_out "^    --data-raw '.\"q\": 3.'\$"
expect_out '^  status 422$'
expect_out '^  content-type: application/json$'
expect_out '^    "message": "as asked for"$'
expect_out '^    "order_id": 3$'
weir dead export orders --reason six
id=$(jq -r .id stdout)
weir dead show .weir/orders "$id"
expect_out '^  where +step 1 \(jq\)$'
expect_out '^value that the step was given$'

# What is not there is said, and an error.
for words in 'show orders 999' 'show orders --id 999' 'ls orders 999' 'replay orders 999' 'purge orders 999'; do
	read -ra call <<<"$words"
	weir dead "${call[@]}"
	expect_code 69
	expect_err 'no dead letter 999; `weir dead ls orders` lists them'
done
weir dead ls orders --group 01234567
expect_code 69
expect_err 'no dead letters in group 01234567'
weir dead shw orders
expect_code 64
expect_err 'unknown verb "shw".*did you mean "show"'
[ "$(wc -l <stderr)" = 2 ] || fail "wrong words are answered with $(wc -l <stderr) lines"
weir dead ls nothing
expect_code 69

# A run that writes them elsewhere says where, alive or not, whatever the broker.
letters_are() {
	for words in 'orders' 'ls orders' 'show orders 256' 'replay orders' 'purge orders --all'; do
		read -ra call <<<"$words"
		weir dead "${call[@]}"
		expect_code 0
		expect_out "^this run writes its dead letters to $1\$"
	done
}
sed 's/^name: .*/&\ndead_letter: { jsonl: { path: orders.dead.jsonl } }/' orders.yaml >own.yaml
weir run own.yaml --fresh=discard
expect_code 3
letters_are orders.dead.jsonl
expect_json orders.dead.jsonl 'length == 6 and all(.[]; .evidence and .group)'
sed -i 's/^dead_letter.*/dead_letter: { sqlite: { path: dead.db, table: letters } }/' own.yaml
weir run own.yaml --fresh=discard
letters_are 'dead.db, table letters'
sed -i 's/^dead_letter.*/broker: { memory: {} }/; s/status.422/stall/' own.yaml
echo 'shutdown: { drain: 0s }' >>own.yaml
rm -r .weir
start "$WEIR" run own.yaml --quiet
wait_until 5 test -S .weir/orders/ctl
letters_are '(./)?.weir/orders/dead.jsonl'
kill -TERM "$started_pid"
finish
letters_are '(./)?.weir/orders/dead.jsonl'
