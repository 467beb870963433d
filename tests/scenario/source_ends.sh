# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# How files begin and end: empty ones, a byte order mark, LF and CR LF, no end of the last line; in every format.
write() {
	pipeline <<YAML
source: $1
broker: { memory: {} }
sink: { jsonl: { path: out.jsonl } }
YAML
	rm -rf out.jsonl state
}

# gives N SOURCE...: file.in gives N items of each, and all of them are good.
gives() {
	local n=$1 format
	shift
	for format in "$@"; do
		write "$format"
		CODE=0
		"$WEIR" run pipeline.yaml --state state --summary summary.json --quiet <file.in >stdout 2>stderr || CODE=$?
		expect_code 0
		expect_lines "$n" out.jsonl
		expect_summary ".exit_code == 0 and .read == $n and .succeeded == $n and .dead == 0"
	done
}

lines=('{ jsonl: { path: file.in } }' '{ lines: { path: file.in } }' '{ stdin: {} }' '{ stdin: lines }')
csv='{ csv: { path: file.in, header: false, columns: [a] } }'
all=("${lines[@]}" "$csv")

: >file.in
gives 0 "${all[@]}" '{ csv: file.in }'
printf '\n\r\n\n' >file.in
gives 0 "${all[@]}" '{ csv: file.in }'
printf '\xef\xbb\xbf' >file.in
gives 0 "${all[@]}" '{ csv: file.in }'
printf '\xef\xbb\xbf1' >file.in
gives 1 "${all[@]}"
gives 0 '{ csv: file.in }'
printf '1\n2\n3' >file.in
gives 3 "${all[@]}"
gives 2 '{ csv: file.in }'
printf '\xef\xbb\xbf1\r\n\r\n2\r\n3\r\n' >file.in
gives 3 "${all[@]}"
gives 2 '{ csv: file.in }'
