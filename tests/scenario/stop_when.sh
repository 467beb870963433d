# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A mistake in the pipeline must not make a mountain of dead letters: when half of the first 200 items die, the run
# stops with exit code 6; so it does in the middle of a run, when half of the last ones do.  The reason is said with
# --quiet, too, and the run can be resumed.
mock --fault /orders/=status/400
orders 5000
pipeline_orders 'flow: { concurrency: 20 }'
run
expect_code 6
expect_summary '.read < 5000 and .dead >= 100 and .dead < 1500 and .succeeded == 0 and .state == "stopped"'
expect_summary '.reason | test("^100 of the first 1[0-9][0-9] items are dead letters .stop_when: dead, of_first.$")'
expect_err 'of the first 1[0-9][0-9] items are dead letters'
run --quiet
expect_code 6
expect test "$(wc -l <stderr)" = 1
expect_err '^weir: pipeline.yaml: stopped: 100 of the first .* are dead letters .stop_when.*; [0-9,]+ unfinished$'
expect_oracle --key order_id=id

{
	seq 700 | sed "s,.*,$MOCK_URL/text/&,"
	seq 2000 | sed "s,.*,$MOCK_URL/status/400?&,"
} >urls.txt
pipeline <<'YAML'
source: { lines: { path: urls.txt } }
steps:
  - http: { url: '${.}', expect: text }
flow: { concurrency: 10 }
stop_when: { of_last: 300 }
sink: { jsonl: { path: out.jsonl } }
YAML
rm -rf state
run --allow-private --quiet
expect_code 6
expect_lines 700 out.jsonl
expect_summary '.dead >= 150 and .dead <= 170'
expect_err '150 of the last 300 items are dead letters .stop_when: dead, of_last.'

sed -i 's/stop_when.*/stop_when: { dead: 0%, dead_in_a_row: 30 }/' pipeline.yaml
run --allow-private --quiet
expect_code 6
expect_err '30 items in a row are dead letters .stop_when: dead_in_a_row.'
