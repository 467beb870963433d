# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A run of release 0.1.0 that was killed resumes to exact rows, also with another time limit and where that release had
# no such key; a changed step is refused, with what has changed.
mock

# What the killed run left: 200 items read, 76 rows acknowledged and 3 more written, items under way and waiting.
leave_killed() {
	rm -rf state out.jsonl dead.jsonl
	tar -xzf "$TREE/tests/support/killed_run.tar.gz" --no-same-owner
	expect_lines 79 out.jsonl
}

# The pipeline of that run, with other limits on its pace.
pipeline <<'YAML'
name: killed
source: { range: 1-200 }
steps:
  - jq: 'if . % 50 == 0 then error("no fifties: \(.)") else {n: ., s: (if . % 7 == 0 then 503 else 200 end)} end'
  - http: { url: '${env:MOCK_URL}/status/${.s}', headers: { X-Key: '${env:MOCK_URL}' }, expect: text, timeout: 10s }
  - jq: '{n: $source}'
flow: { concurrency: 8, breaker: off, retry: { attempts: 3, backoff: 5ms..10ms } }
stop_when: { dead: 0% }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML

expect_exact() {
	expect_code 3
	expect_summary '.resumed and .read == 200 and .succeeded == 168 and .dead == 32 and .unfinished == 0'
	seq 200 | awk '$1 % 7 && $1 % 50' | sed 's/.*/{"n":&}/' | sort >expected
	sort out.jsonl | expect cmp - expected
	expect test "$(jq .position dead.jsonl | sort -u | wc -l)" = 32
	expect_lines 32 dead.jsonl
}

refuse() {
	sed "$1" -i.good pipeline.yaml
	run
	mv pipeline.yaml.good pipeline.yaml
	expect_code 78
	expect_err "it was \"$2\", now it is \"$3\"; .*--adopt"
	expect_lines 79 out.jsonl
}

leave_killed
refuse 's/{n: \$source}/{m: $source}/' 'steps\.3\.program: \{n: \$source\}' 'steps\.3\.program: \{m: \$source\}'
refuse 's/, timeout: 10s/, method: POST/' 'steps\.2\.method: GET' 'steps\.2\.method: POST'
refuse 's/jsonl: { path: out.jsonl }/csv: { path: out.csv, columns: n }/' 'sink: jsonl' 'sink: csv'
refuse 's/1-200/1-300/' 'source\.numbers: 1-200' 'source\.numbers: 1-300'
run
expect_exact

# Written again by this release, it is compared by the same rules.
sed -i 's/{n: \$source}/{m: $source}/' pipeline.yaml
run
expect_code 78
expect_err 'it was "steps\.3\.program: .*that run is complete'
sed -i 's/{m: \$source}/{n: $source}/; s/, timeout: 10s/, timeout: 20s, method: GET/' pipeline.yaml
run
expect_code 0

leave_killed
run
expect_exact

leave_killed
sqlite3 state/state.db "UPDATE meta SET plan = replace(plan, '      method: GET' || char(10), '')"
run
expect_exact
