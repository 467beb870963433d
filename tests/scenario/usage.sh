# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Wrong use of the command: exit code 64 and a hint; help and version are answers, not errors.
weir
expect_code 64
weir frobnicate
expect_code 64
expect_err 'frobnicate'
weir run
expect_code 64
weir run --no-such-option x.yaml
expect_code 64
expect_err 'no-such-option'
weir --help
expect_code 0
for verb in run get init check list status mock; do expect_out "$verb"; done
weir --version
expect_code 0
expect_out '[0-9]+\.[0-9]+'
weir list
expect_code 0
for kind in jsonl lines range stdin http jq sqlite stdout memory; do expect_out "$kind"; done
