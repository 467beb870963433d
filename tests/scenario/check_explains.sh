# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir check --explain`: the effective config with its defaults marked, secrets hidden; a good file is just good.
export TOKEN=xyzzy-secret MOCK_URL=http://127.0.0.1:9
orders 3
HTTP='auth: { bearer: "${env:TOKEN}" }' pipeline_orders 'flow: { concurrency: 7 }'
weir check pipeline.yaml
expect_code 0
weir check --explain pipeline.yaml
expect_code 0
expect_out 'concurrency: 7'
expect_out 'default'
expect_out 'attempts: 5'
if grep -q xyzzy stdout stderr; then fail "the secret is shown"; fi
