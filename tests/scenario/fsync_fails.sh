# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A sync that fails is believed at once: exit code 74.  The next run is exact, even if what was written is gone.
pipeline <<'YAML'
source: { range: 1-500 }
steps: [ jq: '{id: .}' ]
sink: { jsonl: { path: out.jsonl }, batch: { items: 16 } }
YAML
for file in out.jsonl state.db-wal; do
	rm -rf state out.jsonl
	run_disturbed eio CRASH_AT=5 CRASH_DROP=1 CRASH_ONLY=$file
	expect_code 74
	expect grep -q "sync .*$file" disk.log
	run
	expect_code 0
	expect_oracle --sink out.jsonl --source 1-500
	rm disk.log
done
