# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Files that are not UTF-8: a dead letter or an error says what to set, and with `encoding` they are read.
write() {
	pipeline <<YAML
source: { csv: $1 }
broker: { memory: {} }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
	rm -rf out.jsonl dead.jsonl state
}

printf 'id,name\n1,Ada\n2,Zo\xeb \x80\n3,\x81\n' >people.csv
write '{ path: people.csv }'
run
expect_code 3
expect_json dead.jsonl 'map(select(.reason | endswith("if the file is Latin-1, set encoding: latin1"))) | length == 2'

write '{ path: people.csv, encoding: windows-1252 }'
run
expect_code 3
expect_json out.jsonl 'map(.name) | sort == ["Ada", "Zoë €"]'
expect_json dead.jsonl '.position == 4 and .reason == "0x81 at byte 3 is not windows-1252"'

write '{ path: people.csv, encoding: latin1 }'
run
expect_code 0
expect_lines 3 out.jsonl

printf '\xff\xfei\0d\0\r\0\n\0001\0\r\0\n\0' >people.csv
write '{ path: people.csv }'
run
expect_code 78
expect_err 'people.csv looks like UTF-16; set encoding: utf-16'

write '{ path: people.csv, encoding: utf-16 }'
run
expect_code 0
expect_json out.jsonl '. == {"id": "1"}'

write '{ path: people.csv, encoding: utf16 }'
run
expect_refused pipeline.yaml:1:46 'did you mean "utf-16"'
