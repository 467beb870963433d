# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What is sent: method, headers, a body made from the item, percent-encoded paths, basic and bearer credentials.
mock
echo '{"id": 1, "name": "a/b c&d?", "n": 12345678901234567890}' >orders.jsonl
export TOKEN=xyzzy-secret PASSWORD=open-sesame
echo_pipeline() {
	rm -rf state
	pipeline <<YAML
source: { jsonl: { path: orders.jsonl } }
broker: { memory: {} }
steps:
  - http:
      url: '\${env:MOCK_URL}/echo?name=\${.name}&n=\${.n}'
      expect: json
      $1
sink: { jsonl: { path: out.jsonl, on_start: replace } }
dead_letter: { jsonl: { path: dead.jsonl, on_start: replace } }
YAML
	run
}

echo_pipeline 'method: GET'
expect_code 0
expect_json out.jsonl '.method == "GET"'
expect_json out.jsonl '.path == "/echo?name=a%2Fb%20c%26d%3F&n=12345678901234567890"'

echo_pipeline 'method: POST
      headers: { X-Id: "item-${.id}", Content-Type: application/json }
      body: "{\"wanted\": ${.id}}"
      auth: { bearer: "${env:TOKEN}" }'
expect_code 0
expect_json out.jsonl '.method == "POST" and (.body | tostring | contains("wanted"))'
expect_json out.jsonl '.headers | with_entries(.key |= ascii_downcase) | ."x-id" == "item-1" and
	.authorization == "Bearer xyzzy-secret" and ."content-type" == "application/json"'

echo_pipeline 'auth: { basic: "ali:${env:PASSWORD}" }'
expect_code 0
expect_json out.jsonl ".headers | with_entries(.key |= ascii_downcase) |
	.authorization == \"Basic $(printf 'ali:open-sesame' | base64)\""

# Secrets are never shown.
weir check --explain pipeline.yaml
expect_code 0
if grep -q sesame stdout stderr; then fail "the password is shown"; fi
