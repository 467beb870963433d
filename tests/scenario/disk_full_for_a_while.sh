# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A disk that is full for a while, under the sink or under the state: the run goes on when there is room.
pipeline <<'YAML'
source: { range: 1-500 }
steps: [ jq: '{id: .}' ]
sink: { jsonl: { path: out.jsonl }, batch: { items: 16 } }
YAML

# AT: the write, of those to the file.
full_at() {
	rm -rf state out.jsonl disk.log
	run_disturbed enospc CRASH_ONLY="$1" CRASH_AT="$2" CRASH_FOR=2
	expect grep -q "write .*$1" disk.log
	expect_code 0
	expect_oracle --sink out.jsonl --source 1-500
}

full_at out.jsonl 5
full_at state.db-wal 60
