# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A disk that is full for a while, under the sink or under the state: the run goes on when there is room.
pipeline <<'YAML'
source: { range: 1-500 }
steps: [ jq: '{id: .}' ]
sink: { jsonl: { path: out.jsonl }, batch: { items: 16 } }
YAML
for file in out.jsonl state.db-wal; do
	rm -rf state out.jsonl
	run_disturbed enospc CRASH_AT=5 CRASH_FOR=2 CRASH_ONLY=$file
	expect grep -q "write .*$file" disk.log
	expect_code 0
	expect_oracle --sink out.jsonl --source 1-500
	rm disk.log
done
