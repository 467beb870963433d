# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Lines that are no JSON, no UTF-8, or over 1 MiB: dead letters with their line numbers; the run goes on.
{
	echo '{"n": 1}'
	echo '{"n": 2'
	printf '{"n": "\xff\xfe"}\n'
	printf '{"n": "%s"}\n' "$(head -c 1200000 /dev/zero | tr '\0' x)"
	printf 'a\0b\n'
	printf '{"n": 6}\r\n'
	printf '{"n": 7}'
} >orders.jsonl
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
broker: { memory: {} }
steps: [ jq: '{n}' ]
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
stop_when: { dead: 0% }
YAML
run
expect_code 3
expect_lines 3 out.jsonl
expect_json out.jsonl 'map(.n) | sort == [1, 6, 7]'
expect_summary '.read == 7 and .succeeded == 3 and .dead == 4 and .attempts == 3'
expect_lines 4 dead.jsonl
expect_json dead.jsonl 'map(.position) | sort == [2, 3, 4, 5]'
expect_json dead.jsonl 'any(.[]; .position == 4 and (.reason | test("MiB|long|large")))'
expect_json dead.jsonl 'any(.[]; .position == 3 and (.reason | test("UTF-8")))'
expect test "$(stat -c %s dead.jsonl)" -lt 20000
