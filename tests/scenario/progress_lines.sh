# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Where stderr is no terminal progress is one JSON object a line.
mock --latency 100ms
orders 60
pipeline_orders 'flow: { concurrency: 2 }'
run
expect_code 0
expect test -s stderr
expect jq -es 'length >= 2 and all(.[]; type == "object")' stderr
expect_err 'read|done'
expect test ! -s stdout
