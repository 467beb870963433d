# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What a verb writes once (a summary, an export, a list) and finds no room: exit code 74 and a sentence, never a silence.
expect test -c /dev/full
pipeline <<'YAML'
source: { range: 1-20 }
steps: [ jq: 'if . < 3 then error("no") else . end' ]
stop_when: { dead: 0% }
sink: { jsonl: { path: out.jsonl, on_start: replace } }
YAML
weir run pipeline.yaml --state state --quiet --summary /dev/full
expect_code 74
expect_err '^weir: cannot write the summary /dev/full: no space left$'
expect_lines 18 out.jsonl

# full WORD ...: with a standard output that takes nothing.
full() {
	CODE=0
	"$WEIR" "$@" >/dev/full 2>stderr </dev/null || CODE=$?
	expect_code 74
	expect_err 'weir.*: .*[Nn]o space left'
}
full run pipeline.yaml --state other --quiet --fresh --summary -
full dead ls state
full dead show state --id 256
full dead export state
full state verify state
full list http
full check pipeline.yaml
full get --help
full --version
weir dead export state -o /dev/full
expect_code 74
expect_err 'cannot write'

# A reader that has read enough is no failure.
CODE=0
"$WEIR" list http 2>stderr | head -n 1 >stdout || CODE=${PIPESTATUS[0]}
expect_code 0
expect test ! -s stderr
