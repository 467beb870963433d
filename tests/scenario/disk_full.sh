# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A sink that can take no more: exit code 74, and what was not written is not counted as written.
expect test -c /dev/full
pipeline <<'YAML'
source: { range: 1-1000 }
broker: { memory: {} }
steps: [ jq: '{n: .}' ]
sink: { stdout: {} }
YAML
CODE=0
"$WEIR" run pipeline.yaml --state state --summary summary.json >/dev/full 2>stderr || CODE=$?
check_accounts
expect_code 74
expect_err 'space'
expect_summary '.succeeded == 0 and .unfinished == .read'
