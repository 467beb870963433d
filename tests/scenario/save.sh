# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Answers become files: whole, decoded, with their checksum in the row, and nothing is left of one that is refused.  Long
# ones take no more memory than short ones.  No item leads out of its folder, and no file of somebody else is replaced.
file_server

save_pipeline() {
	pipeline <<YAML
source: { jsonl: { path: items.jsonl } }
steps:
  - http: { url: '\${env:SERVER}/\${raw:.p}', $1 }
flow: { retry: { attempts: 2, backoff: 1ms } }
sink: { jsonl: { path: out.jsonl, on_start: replace } }
dead_letter: { jsonl: { path: dead.jsonl, on_start: replace } }
YAML
}

item() {
	jq -nc --arg p "$1" --arg to "$2" '{$p, $to}'
}

# What the rows say is so, and nothing else lies in the folder.
expect_files() {
	local n=0 path sum
	while read -r path sum; do
		expect test "$(sha256sum <"$path" | cut -d' ' -f1)" = "$sum"
		n=$((n + 1))
	done < <(jq -r '"\(.path) \(.sha256)"' out.jsonl)
	expect test "$n" = "$1"
	expect test "$(find out -type f | wc -l)" = "$1"
}

mkdir out
{
	item file/300000/a a.bin
	item file/100/b b.bin
	item chunked/200000/c c.bin
	item gzip/500000/d d.txt
	item gzip/300/e e.txt
	item empty empty
	item nothing nothing
	item cut/400000/f f.bin
} >items.jsonl
save_pipeline "save: 'out/\${.to}'"
weir check pipeline.yaml
expect_code 0
run
expect_code 0
expect_files 8
expect_json out.jsonl 'map(select(.path == "out/a.bin"))[0] | .bytes == 300000 and .status == 200 and
	.content_type == "application/octet-stream"'
expect_json out.jsonl 'map({(.path[4:]): .bytes}) | add == {"a.bin": 300000, "b.bin": 100, "c.bin": 200000,
	"d.txt": 500000, "e.txt": 300, "empty": 0, "nothing": 0, "f.bin": 400000}'
expect test "$(grep -c /cut/ requests.log)" = 2

# Another run replaces nothing that differs, and takes what is the same.
rm -rf state
echo mine >out/b.bin
run
expect_code 3
expect_dead 1 '^save: out/b.bin exists, and this item of this run has not written it; move it away, or set save.replace$'
expect test "$(cat out/b.bin)" = mine
expect test "$(find out -type f | wc -l)" = 8
rm -rf state
save_pipeline "save: { path: 'out/\${.to}', replace: true }"
run
expect_code 0
expect_files 8
rm -r state out

# What is refused leaves no file.
mkdir out
{
	item status/404 a
	item status/500 b
	item file/2000000/c c
	item gzip/2000000/d d
} >items.jsonl
save_pipeline "save: 'out/\${.to}', max_body: 1MB"
run
expect_code 3
expect_lines 4 dead.jsonl
expect_json dead.jsonl 'map(.reason) | sort | .[0:2] == ["status: 404", "status: 500"]'
expect_json dead.jsonl 'map(select(.reason | contains("too large: body over 1000000 bytes (max_body)"))) | length == 2'
expect test -z "$(find out -type f)"

# One that takes too long is stopped in the middle of its body, and the connection serves the next.
rm -r state
for i in 1 2 3 4; do
	item slow/3000000/a "a$i"
	item file/1000000/b "b$i"
done >items.jsonl
save_pipeline "save: 'out/\${.to}', timeout: 200ms"
run
expect_code 3
expect_dead 4 '^timeout: no complete answer in 200 ms'
expect_files 4
rm -r state out/b*
save_pipeline "save: 'out/\${.to}'"
sed -i 's/flow: {/& timeout: { attempt: 200ms }, /' pipeline.yaml
run
expect_code 3
expect_dead 4 '^timeout: the attempt took too long'
expect_files 4
rm out/b*

# Names that lead elsewhere, or to something that is no file.
rm -r state
mkdir out/folder elsewhere
ln -s ../elsewhere out/link
ln -s ../elsewhere/file out/file
long=$(printf 'x%.0s' {1..300})

# TO REASON: each pair is an item, and what its dead letter says; where that is "", there is a file.
expect_reasons() {
	local i
	rm -rf state
	: >items.jsonl
	for ((i = 1; i < $#; i += 2)); do
		item file/10/x "${!i}" >>items.jsonl
	done
	run
	for ((i = 2; i <= $#; i += 2)); do
		[ -z "${!i}" ] || expect jq -se --argjson at $((i / 2)) --arg why "${!i}" \
			'map(select(.position == $at))[0].reason | startswith($why)' dead.jsonl
	done
}

save_pipeline "save: 'out/\${.to}'"
expect_reasons \
	.. "save: '..' cannot be a part of the path of a file" \
	. "save: '.' cannot be a part of the path of a file" \
	'' 'save: an empty value cannot be a part of the path of a file' \
	../a 'save: the value at .to has a "/", and is to be one part of a path (several: ${raw:.to})' \
	/etc/passwd 'save: the value at .to has a "/"' \
	a/b 'save: the value at .to has a "/"' \
	folder 'save: cannot write out/folder: it is a folder' \
	file 'save: out/file exists, and this item of this run has not written it' \
	"$long" 'save: "out/xxxxxxxxxxxx'
expect_lines 9 dead.jsonl
echo '{"p": "file/10/x", "to": "a\u0000b"}' >items.jsonl
rm -rf state
run
expect_dead 1 'save: the value at .to has a NUL character, which no path can have'

save_pipeline "save: 'out/\${raw:.to}'"
expect_reasons \
	new/deep/x '' \
	a/../../x "save: '..' cannot be a part of the path of a file" \
	/x 'save: an empty value cannot be a part of the path of a file' \
	x/ 'save: an empty value cannot be a part of the path of a file' \
	link/x 'save: "out/link" is a symbolic link' \
	file/x 'save: "out/file" is a symbolic link'
expect_lines 5 dead.jsonl
expect test -f out/new/deep/x
expect test -z "$(find elsewhere -type f)"
expect test "$(find out -type f | wc -l)" = 1

# The row has the path as the pipeline file has it, wherever weir was started; the next step sends that file.
mkdir -p 'els$where/out'
cat >'els$where/pipeline.yaml' <<'YAML'
source: { range: 1-3 }
steps:
  - http: { url: '${env:SERVER}/file/1000/${.}', save: 'out/${.}' }
  - http: { url: '${env:SERVER}/parts', method: POST, into: .sent, multipart: [ { name: f, file: '${raw:.path}' } ] }
sink: { jsonl: { path: rows.jsonl } }
YAML
weir run 'els$where/pipeline.yaml'
expect_code 0
expect_json 'els$where/rows.jsonl' 'map(.path) | sort == ["out/1", "out/2", "out/3"]'
expect_json 'els$where/rows.jsonl' 'all(.[]; .sent.parts[0].sha256 == .sha256)'

# What check says.
refused() {
	save_pipeline "$1"
	weir check pipeline.yaml
	expect_refused pipeline.yaml:3:.* "$2"
}
refused "save: 'gone/\${.to}'" 'the folder "gone/" does not exist; make it'
refused "save: 'out/\${.to}', expect: text" 'expect beside save'
refused "save: 'out/\${.to}', method: HEAD, expect: text" 'save beside method: HEAD'
refused "save: 'out/\${.to}', poll: 1s" 'save beside poll'
refused "save: 'out/\${.to}/'" 'the path of a file'
refused 'max_body: 2GiB' 'max_body is over 1GiB'
