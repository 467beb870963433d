# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# CSV: quotes, line ends and delimiters inside them, CR LF, a byte order mark, bad records with their lines; a header
# that is no good is refused with its place.
write() {
	pipeline <<YAML
source: { csv: $1 }
broker: { memory: {} }
steps: [ jq: '.total |= tonumber' ]
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
stop_when: { dead: 0% }
YAML
	rm -rf out.jsonl dead.jsonl state
}

{
	printf '\xef\xbb\xbfid,"the ""name""",total\r\n'
	printf '1,Ada,10\r\n'
	printf '2,"Lovelace, ""A.""\r\nCountess",2.5\r\n'
	printf '\r\n'
	printf '3,too few\r\n'
	printf '4,too,many,fields\r\n'
	printf '5,"text"behind,1\r\n'
	printf '6,\xff\xfe,1\r\n'
	printf '7,a\0b,1\r\n'
	printf '8,last,3'
} >orders.csv
write '{ path: orders.csv }'
run
expect_code 3
expect_json out.jsonl 'map(.id) | sort == ["1", "2", "8"]'
expect_json out.jsonl 'map(.total) | add == 15.5'
expect_json out.jsonl 'any(.[]; .["the \"name\""] == "Lovelace, \"A.\"\r\nCountess")'
expect_json dead.jsonl 'map(.position) | sort == [6, 7, 8, 9, 10]'
expect_json dead.jsonl 'any(.[]; .position == 6 and .reason == "2 fields, expected 3")'
expect_json dead.jsonl 'any(.[]; .position == 9 and (.reason | test("UTF-8")))'

printf '1;2\n' >orders.csv
write '{ path: orders.csv, header: false, columns: [id, total], delimiter: ";" }'
run
expect_code 0
expect_json out.jsonl '. == {"id": "1", "total": 2}'

write '{ path: orders.csv, header: false }'
run
expect_refused pipeline.yaml:1:11 "columns is required"

printf 'id,total,id\n1,2,3\n' >orders.csv
write '{ path: orders.csv }'
run
expect_code 78
expect_err 'orders.csv:1:10: .*duplicate name "id"'

# A quote that is lost: the dead letter says how many lines it took.
{
	echo id,name,total
	seq 1000 | sed 's/.*/&,item &,&/; s/^20,/20,"/'
} >orders.csv
write '{ path: orders.csv }'
run
expect_code 3
expect_lines 19 out.jsonl
expect_json dead.jsonl '.reason == "field 2: the quote is not closed; 981 lines were read as one record"'

# One that is never closed, and long: one dead letter, in bounded memory.
{
	printf 'id,total\n1,1\n2,"'
	head -c 100000000 /dev/zero | tr '\0' x
	printf '\n3,3\n'
} >orders.csv
write '{ path: orders.csv }'
run
rm orders.csv
expect_code 3
expect_lines 1 out.jsonl
expect_json dead.jsonl '.position == 3 and (.reason | test("over 1 MiB.*quote"))'
expect_summary '.peak_rss_bytes < 64000000'
