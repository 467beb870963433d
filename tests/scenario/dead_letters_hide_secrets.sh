# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A secret that an upstream sends back is in no dead letter: not in its reason, not in its evidence, not in the state.
# Outputs are the user's data and stay as they are.
mock
orders 2
export CANARY=c4n4ry-7731/x WORD=me:hunter-22
pipeline() {
	cat >pipeline.yaml <<YAML
source: { jsonl: { path: orders.jsonl } }
steps:
  - http:
      url: '\${env:MOCK_URL}/echo?key=\${env:CANARY}'
      method: POST
      headers: { X-Token: '\${env:CANARY}' }
      auth: { basic: '\${env:WORD}' }
      body: '{"token":"\${env:CANARY}"}'
$1
stop_when: { dead: 0% }
sink: { jsonl: { path: out.jsonl } }
YAML
}
nothing_of_it() {
	local found
	found=$(grep -arlE 'c4n4ry|hunter|bWU6aHVudGVyLTIy' "$@" || true)
	[ -z "$found" ] || fail "a secret is in $found"
}

# A status that is not wanted, with the request in its body; then a program that puts it all into its error.
pipeline '      ok: [201]'
run
expect_code 3
weir dead export state
expect_json stdout 'length == 2 and all(.[]; .evidence.answer | test("\\*\\*\\*")) and all(.[]; .evidence.sent | test("\\*\\*\\*"))'
expect_json stdout 'all(.[]; .evidence.curl | contains("-H \"X-Token: $CANARY\"") and contains("-u \"$WORD\""))'
nothing_of_it state stdout stderr
pipeline '  - jq: error(tostring)'
run --fresh=discard
expect_code 3
weir dead export state
expect_json stdout 'length == 2 and all(.[]; .reason | test("\\*\\*\\*")) and all(.[]; .evidence.input | test("\\*\\*\\*"))'
nothing_of_it state stdout stderr

# In a file of dead letters, too.
pipeline '      ok: [201]'
echo 'dead_letter: { jsonl: { path: dead.jsonl } }' >>pipeline.yaml
run --fresh=discard
expect_code 3
expect_json dead.jsonl 'all(.[]; .evidence.status == 200 and (.group | length) == 8)'
nothing_of_it dead.jsonl stderr

pipeline ''
run --fresh=discard
expect_code 0
grep -q 'c4n4ry-7731' out.jsonl || fail "the output was changed"
