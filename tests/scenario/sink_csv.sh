# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A CSV file: quoting, nothing for what is not there, a header once, one output that is not an object among the dead letters.
cat >orders.jsonl <<'JSON'
{"id": 1, "name": "plain", "tags": ["a", "b"]}
{"id": 2, "name": "a, \"b\"\nc", "tags": null}
{"id": 3}
7
{"id": 12345678901234567890, "name": "", "tags": {}}
JSON
csv_pipeline() {
	pipeline <<YAML
source: { jsonl: { path: orders.jsonl } }
broker: { memory: {} }
flow: { concurrency: 1 }
steps: [ jq: . ]
sink:
  csv: { path: out.csv, columns: [id, name, tags]${1:+, $1} }
dead_letter: { jsonl: { path: dead.jsonl, on_start: replace } }
YAML
}
cat >expected.csv <<'CSV'
id,name,tags
1,plain,"[""a"",""b""]"
2,"a, ""b""
c",
3,,
12345678901234567000,"",{}
CSV
csv_pipeline
run
expect_code 3
# jq 1.6 rounds what is beyond 2^53; the digits after the 17th are its own.
expect sed -i -E 's/^(12345678901234567)[0-9]{3}/\1000/' out.csv
expect diff expected.csv out.csv
expect_dead 1 'not an object'

# Below the same header, and not below another one.
printf '{"id": 4}\n' >orders.jsonl
csv_pipeline 'on_start: append'
run
expect_code 0
echo '4,,' >>expected.csv
expect diff expected.csv out.csv
csv_pipeline "on_start: append, delimiter: ';'"
run
expect_code 78
expect_err 'does not begin with the line "id;name;tags"'
expect diff expected.csv out.csv

# A semicolon, no header, the last error in the config with its place.
csv_pipeline "delimiter: ';', header: false, on_start: replace"
run
expect_code 0
expect_lines 1 out.csv
expect grep -qx '4;;' out.csv
csv_pipeline "delimiter: '::'"
weir check pipeline.yaml
expect_refused pipeline.yaml:6:63 'expected one ASCII character'
