# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A copy of a pipeline that keeps its name is refused with the file whose name that is; a pipeline that was renamed resumes.
orders 20
cat >one.yaml <<'YAML'
name: one
source: { jsonl: { path: orders.jsonl } }
steps: [ { jq: '{id: .order_id}' } ]
sink: { jsonl: { path: out.jsonl } }
YAML
sed 's/{id: /{other: /' one.yaml >three.yaml
weir run one.yaml
expect_code 0
weir run three.yaml
expect_code 78
expect_err 'the name "one" belongs to the run of one.yaml; give three.yaml another name \(name: \.\.\.\)'
mv one.yaml two.yaml
weir run two.yaml
expect_code 0
