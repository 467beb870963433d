# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Forms: fields are encoded as browsers do it, parts arrive as they are and files byte for byte, again after a failure or
# a redirect.  What an item may not send is a dead letter that names it.
file_server

form_pipeline() {
	rm -rf state
	pipeline <<YAML
source: { jsonl: { path: items.jsonl } }
steps:
  - http: { url: '\${env:SERVER}/$1', method: POST, $2 }
flow: { retry: { attempts: 2, backoff: 1ms } }
sink: { jsonl: { path: out.jsonl, on_start: replace } }
dead_letter: { jsonl: { path: dead.jsonl, on_start: replace } }
YAML
}

# Fields.
printf '%s\n' '{"q": "a b&c=ü*-._~+%", "n": 12345678901234567890, "t": true, "none": null, "tags": ["x y", 2, null, "z"], "lines": "1\n2\r\n3"}' >items.jsonl
form_pipeline form "form: { q: '\${.q}', 'na me': 'N \${.n}', n: '\${.n}', t: '\${.t}', none: '\${.none}', tags: '\${.tags}', two: [a, '\${.t}'], lines: '\${.lines}' }"
run
expect_code 0
expect_json out.jsonl '.type == "application/x-www-form-urlencoded"'
expect_json out.jsonl '.raw == "q=a+b%26c%3D%C3%BC*-._%7E%2B%25&na+me=N+12345678901234567890&n=12345678901234567890&t=true&tags=x+y&tags=2&tags=z&two=a&two=true&lines=1%0A2%0D%0A3"'
form_pipeline form "form: '{q, sum: (.tags | length)}'"
run
expect_code 0
expect_json out.jsonl '.fields == [["q", "a b&c=ü*-._~+%"], ["sum", "4"]]'
form_pipeline form "form: { deep: '\${.}' }"
run
expect_code 3
expect_dead 1 '^form: the value of "deep" is an object or a list in a list'
form_pipeline form "form: '.tags'"
run
expect_dead 1 '^form: the program gives no object'

# Parts: values, and a file of each size around that of a piece.
mkdir -p photos/deep
for size in 0 1 65535 65536 65537 1000000; do
	head -c "$size" /dev/urandom >"photos/$size.bin"
	jq -nc --arg size "$size" '{id: $size, file: "\($size).bin", title: "a \"b\" ü\r\nX: y", type: "image/x-\($size)"}'
done >items.jsonl
form_pipeline 'fails/${.id}' "multipart: [ { name: title, value: '\${.title}' }, { name: 'na\"me', value: '{\"id\": \${.id}}', type: application/json },
    { name: photo, file: 'photos/\${.file}' }, { name: again, file: 'photos/\${.file}', filename: '\${.title}', type: '\${.type}' } ]"
run
expect_code 0
expect_lines 6 out.jsonl
expect_json out.jsonl 'all(.[]; .parts[0] == {disposition: "form-data; name=\"title\"", type: null, value: "a \"b\" ü\r\nX: y"})'
expect_json out.jsonl 'all(.[]; .parts[1].disposition == "form-data; name=\"na%22me\"" and .parts[1].type == "application/json")'
expect_json out.jsonl 'all(.[]; .parts[3].disposition == "form-data; name=\"again\"; filename=\"a %22b%22 ü%0D%0AX: y\"")'
for size in 65535 65536 65537 1000000; do
	sum=$(sha256sum <photos/$size.bin | cut -d' ' -f1)
	expect_json out.jsonl "map(select(.parts[3].type == \"image/x-$size\"))[0].parts[2:] | all(.[]; .sha256 == \"$sum\" and .bytes == $size)"
	expect_json out.jsonl "map(select(.parts[3].type == \"image/x-$size\"))[0].parts[2].disposition == \"form-data; name=\\\"photo\\\"; filename=\\\"$size.bin\\\"\""
done
# Each was sent twice, and was the same, boundary and all.
expect test "$(grep '^/fails/' requests.log | sort | uniq -c | awk '$1 != 2' | wc -l)" = 0
expect test "$(grep -o 'boundary=.*' requests.log | sort -u | wc -l)" = 6

# A redirect gets it again.
head -n 1 items.jsonl | sed 's/"0.bin"/"65537.bin"/' >one.jsonl
mv one.jsonl items.jsonl
form_pipeline moved "follow: 1, multipart: [ { name: photo, file: 'photos/\${.file}' } ]"
run
expect_code 0
expect_json out.jsonl ".parts[0].sha256 == \"$(sha256sum <photos/65537.bin | cut -d' ' -f1)\""

# Files that are not there, or elsewhere.
ln -s ../items.jsonl photos/link
mkfifo photos/fifo
: >photos/closed
jq -nc '"gone.bin", "link", "deep", "fifo", "../items.jsonl", "deep/x" | {file: .}' >items.jsonl
form_pipeline parts "multipart: [ { name: photo, file: 'photos/\${.file}' } ]"
run
expect_code 3
expect_lines 6 dead.jsonl
expect_json dead.jsonl 'sort_by(.position) | map(.reason)[0:4] == ["multipart: cannot read photos/gone.bin: no such file",
	"multipart: cannot read photos/link: it is a symbolic link", "multipart: cannot read photos/deep: it is no file",
	"multipart: cannot read photos/fifo: it is no file"]'
expect_json dead.jsonl 'sort_by(.position) | map(.reason)[4:6] | all(.[]; startswith("multipart: the value at .file has a \"/\""))'
printf '%s\n' '{"file": "1000000.bin", "type": "a/b\r\nX-Evil: 1"}' >items.jsonl
form_pipeline parts "max_upload: 1MB, multipart: [ { name: photo, file: 'photos/\${.file}' } ]"
run
expect_dead 1 '^multipart: the body has 1000[0-9]* bytes, over 1MB [(]max_upload[)]$'
form_pipeline parts "multipart: [ { name: photo, file: 'photos/\${.file}', type: '\${.type}' } ]"
run
expect_dead 1 '^multipart: the type of part "photo" has a control character$'

# The command that a dead letter shows sends the same.
echo '{"file": "65537.bin", "title": "it'"'"'s \"x\""}' >items.jsonl
form_pipeline status/400 "multipart: [ { name: title, value: '\${.title}' }, { name: photo, file: 'photos/\${.file}' } ]"
run
expect_code 0
form_pipeline parts "ok: [201], multipart: [ { name: title, value: '\${.title}' }, { name: photo, file: 'photos/\${.file}' } ]"
run
expect_dead 1 '^status: 200$'
expect_json dead.jsonl '.evidence.sent | contains("name=\"title\"") and contains("filename=\"65537.bin\"")'
jq -r .evidence.curl dead.jsonl >curl.sh
expect bash curl.sh
bash curl.sh 2>/dev/null >curl.out
expect_json curl.out ".parts[0].value == \"it's \\\"x\\\"\" and .parts[1].sha256 == \"$(sha256sum <photos/65537.bin | cut -d' ' -f1)\""

# What check says.
refused() {
	form_pipeline form "$1"
	weir check pipeline.yaml
	expect_refused pipeline.yaml:3:.* "$2"
}
part="multipart: [ { name: a, value: b } ]"
refused "form: { a: b }, json: { a: b }" 'form beside json; expected one of them'
refused "form: { a: b }, body: a" 'form beside body; expected one of them'
refused "form: { a: b }, $part" 'multipart beside form; expected one of them'
refused "form: [ a ]" 'form is a list, expected a map'
refused "multipart: [ { name: a } ]" 'part 1 has neither value nor file; expected one of value and file'
refused "multipart: [ { name: a, value: b, file: c } ]" 'part 1 has value and file'
refused "multipart: [ { name: a, value: b, filename: c } ]" 'part 1 has a filename and no file'
refused "multipart: [ { name: a, file: 'gone/\${.a}' } ]" 'part 1: the folder "gone/" does not exist'
refused "$part, compress_body: gzip" 'compress_body beside multipart'
refused "$part, headers: { Content-Type: text/plain }" 'multipart sets the header Content-Type itself'
refused "$part, auth: { aws: { service: s3, region: x, access_key: a, secret_key: b } }" 'multipart beside auth.aws'
sed -i 's/method: POST, //' pipeline.yaml
form_pipeline form "form: { a: b }"
sed -i 's/method: POST, //' pipeline.yaml
weir check pipeline.yaml
expect_refused pipeline.yaml:3:.* 'form needs a method with a body; set method: POST'
