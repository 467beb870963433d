# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What `weir try` shows of each item: the request as it is sent, the answer, what weir made of it, the values and the
# row.  Secrets are named and not shown; the command line sends the same.
. "$TREE/tests/support/screens.sh"
mock
export TOKEN=c4n4ry-7731 WORD=me:hunter-22
printf 'f1le-k3y\n' >key.txt

# keep TITLE: the output, without what changes from run to run.
keep() {
	if grep -qE 'c4n4ry|hunter|f1le-k3y|bWU6aHVudGVyLTIy' stdout stderr; then fail "$1: a secret is shown"; fi
	{
		echo "=== $1"
		cat stdout
	} >>screens
}
# in_utf8 WORD ...: weir, with characters beyond ASCII.
in_utf8() {
	CODE=0
	LC_ALL=C.UTF-8 "$WEIR" "$@" >stdout 2>stderr </dev/null || CODE=$?
	no_crash
}

cat >items.jsonl <<'JSON'
{"id": 1, "path": "echo", "name": "O'Neill $HOME"}
{"id": 2, "path": "orders/7"}
no JSON
{"id": 4, "path": "status/503"}
{"id": 5, "path": "status/404"}
{"id": 6, "path": "orders/7"}
{"path": "orders/7"}
{"id": 8, "path": "status/429/retry-after/60"}
{"id": 9, "path": "orders/7"}
JSON
pipeline <<YAML
source: { jsonl: items.jsonl }
key: 'job-\${.path}'
steps:
  - http:
      url: '$MOCK_URL/\${raw:.path}?key=\${env:TOKEN}'
      method: POST
      headers: { X-Key: 'k \${file:key.txt}', X-Id: 'n\${.id}' }
      auth: { basic: '\${env:WORD}' }
      body: '{"token":"\${env:TOKEN}","item":\${.}}'
      into: .answer
  - jq: 'if .id == 6 then empty elif .id == 2 then {id, n: 1}, {id, n: 2} else {id, n: .answer.method} end'
sink: { sqlite: { path: out.db, table: rows, key: id, columns: [id, n] } }
dead_letter: { jsonl: dead.jsonl }
YAML
sed -i "s/X-Id: 'n\\\${.id}'/X-Id: 'n\${.path}'/" pipeline.yaml
in_utf8 try -n 8 pipeline.yaml
expect_code 3
expect_err 'pipeline.yaml: 5 of 8 items failed'
keep 'all that may happen'
[ "$(mock_stat .requests)" = 7 ] || fail "$(mock_stat .requests) requests, expected 7"
[ ! -e out.db ] || fail "there is an out.db"
[ ! -e .weir ] || fail "there is a state"
[ ! -e dead.jsonl ] || fail "there is a dead.jsonl"

# What was copied sends the same.
weir try --json pipeline.yaml --item '{"id": 1, "path": "echo", "name": "O'"'"'Neill $HOME"}'
expect_code 0
jq -r '.steps[0].request.curl' stdout >curl.sh
jq -S '.steps[0].outputs[0].answer | del(.headers)' stdout >weir.json
jq -S '.steps[0].outputs[0].answer.headers' stdout >weir.headers
bash curl.sh >answer 2>/dev/null || fail "$(cat curl.sh)"
sed 's/c4n4ry-7731/***/g; s/f1le-k3y/***/g; s/bWU6aHVudGVyLTIy/***/g' answer >hidden
jq -S 'del(.headers)' hidden | expect diff weir.json -
jq -S .headers hidden | expect diff weir.headers -

# After "come back later" nothing more is sent.
before=$(mock_stat .requests)
sed -n '8,9p' items.jsonl >late.jsonl
sed 's/items.jsonl/late.jsonl/' pipeline.yaml >late.yaml
in_utf8 try late.yaml
expect_code 3
expect_err 'a run would wait before its next call, so no further item was sent'
keep 'throttled'
[ "$(mock_stat .requests)" = $((before + 1)) ] || fail "a request after a refusal"

# Other sinks: a line, and the fields of a CSV file.
cat >csv.yaml <<YAML
source: { range: 7-9 }
steps: [ http: '$MOCK_URL/orders/\${.}', jq: '{id, status: "say \\"hi\\"", customer: .customer.id}' ]
sink: { csv: { path: out.csv, columns: [id, status, total] } }
YAML
weir try -n 1 csv.yaml
expect_code 0
keep 'csv, without UTF-8'
sed 's/sink: .*/sink: stdout/' csv.yaml >lines.yaml
in_utf8 try -n 1 lines.yaml
expect_code 0
keep 'stdout'

# A step that is run with many values.
cat >many.yaml <<YAML
source: { range: 1-1 }
steps: [ jq: 'range(1000)', jq: 'if . == 900 then error("no \\(.)") else . end' ]
sink: stdout
YAML
weir try many.yaml
expect_code 3
keep 'many values'

# Nobody answers; and a run that has one attempt.
sed -e "s|$MOCK_URL|$(refused_url)|" -e '$a flow: { retry: { attempts: 1 } }' pipeline.yaml >down.yaml
in_utf8 try -n 1 down.yaml
expect_code 3
keep 'nobody answers'

# A rule that pauses the run.
cat >pause.yaml <<YAML
source: { range: 404-405 }
steps: [ http: { url: '$MOCK_URL/status/\${.}', when: [ { if: .status == 404, then: pause } ] } ]
sink: stdout
YAML
weir try pause.yaml
expect_code 3
keep 'a rule that pauses'

# A long answer, a long body, and what would act on a terminal.
cat >long.yaml <<YAML
source: { range: 1-2 }
key: 'job-\${.}'
steps:
  - http: { url: '$MOCK_URL/echo', method: POST, body: "\${.}\\u001b[31m$(head -c 5000 /dev/zero | tr '\0' x)", headers: { Content-Type: text/plain } }
  - jq: '{body: ("\u001b[31m" + .body)}'
sink: stdout
YAML
weir try -n 1 long.yaml
expect_code 0
keep 'long, and treacherous'
if grep -q $'\x1b' stdout; then fail "it would act on a terminal"; fi
weir try -n 1 --json long.yaml
expect_json stdout '.steps[0].request.body_bytes > 5000 and (.steps[0].request.curl | contains("--data-binary @-"))'

# A terminal has colours, unless they are not wanted.
cat >short.yaml <<YAML
source: { range: 404-405 }
steps: [ http: '$MOCK_URL/status/\${.}' ]
sink: stdout
YAML
screen short 80 -- "$WEIR" try -n 1 short.yaml
wait_until 10 screen_has short '^weir: short'
screen_keep_colours short 'in colours'
screen plain 40 NO_COLOR=1 -- "$WEIR" try -n 1 short.yaml
wait_until 10 screen_has plain '^weir: short'
screen_keep_colours plain 'NO_COLOR, 40 columns'

sed -i -E "s/:$mock_port\\b/:PORT/; s/\b[0-9.]+ [mu]?s\b/TIME/; s/[0-9.]+ KB more/N KB more/" screens
expect_screens try
