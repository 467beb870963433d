# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Empty files, a byte order mark, plain lines, a range, and stdin.
write() {
	pipeline <<YAML
source: $1
broker: { memory: {} }
steps: [ jq: '{v: .}' ]
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
	rm -rf out.jsonl state
}

: >empty.jsonl
write '{ jsonl: { path: empty.jsonl } }'
run
expect_code 0
expect_summary '.read == 0 and .succeeded == 0 and .state == "done"'

printf '\xef\xbb\xbf{"n": 1}\n{"n": 2}\n' >bom.jsonl
write '{ jsonl: { path: bom.jsonl } }'
run
expect_code 0
expect_json out.jsonl 'map(.v.n) | sort == [1, 2]'

printf 'a "quoted" one\r\n\nlast' >lines.txt
write '{ lines: { path: lines.txt } }'
run
expect_code 0
expect_json out.jsonl 'tostring | contains("quoted") and contains("last")'

write '{ range: 1-25 }'
run
expect_code 0
expect_lines 25 out.jsonl
expect_summary '.read == 25 and .succeeded == 25'

write '{ stdin: {} }'
printf '{"n": 1}\n{"n": 2}\n{"n": 3}\n' >in
CODE=0
"$WEIR" run pipeline.yaml --state state --summary summary.json <in >stdout 2>stderr || CODE=$?
check_accounts
expect_code 0
expect_lines 3 out.jsonl
