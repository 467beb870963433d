# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The reader of stdout goes away (`weir run ... | head -1`): the run ends by itself, no signal, accounts right.
pipeline <<'YAML'
source: { range: 1-2000000 }
broker: { memory: {} }
steps: [ jq: '{n: .}' ]
sink: { stdout: {} }
YAML
{
	CODE=0
	"$WEIR" run pipeline.yaml --state state --summary summary.json --quiet 2>stderr || CODE=$?
	echo "$CODE" >code
} | head -n 1 >first
CODE=$(cat code)
: >stdout
no_crash
check_accounts
expect jq -e .n first
case $CODE in
0 | 5) ;;
*) fail "exit code $CODE, expected 0 or 5" ;;
esac
expect_summary '.read < 2000000'
