# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Compressed answers are asked for and decoded, and decoded when nobody asked.  One that is damaged is tried again and
# then dead with the reason; a few KiB that stand for gigabytes end at max_body.  Bodies of requests go compressed where
# that is set.
cat >server.py <<'PY'
import gzip, http.server, json, zlib

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        asked = self.headers.get("Accept-Encoding", "")
        body = json.dumps({"asked": asked, "pad": "x" * 1000}).encode()
        kind = self.path.split("/")[1]
        packed = {
            "asked": lambda: gzip.compress(body) if "gzip" in asked else body,
            "unasked": lambda: gzip.compress(body),
            "deflate": lambda: zlib.compress(body),
            "cut": lambda: gzip.compress(body)[:-9],
            "bomb": lambda: gzip.compress(b"0" * (20 << 20)),
            "unknown": lambda: bytes([0x91]) + body,
        }[kind]()
        encoding = {"unknown": "lzma", "deflate": "deflate"}.get(kind, "gzip" if packed is not body else "")
        self.send_response(200)
        if encoding and packed != body:
            self.send_header("Content-Encoding", encoding)
        self.send_header("Content-Length", str(len(packed)))
        self.end_headers()
        self.wfile.write(packed)

    def do_POST(self):
        sent = self.rfile.read(int(self.headers["Content-Length"]))
        encoding = self.headers.get("Content-Encoding", "")
        text = gzip.decompress(sent) if encoding == "gzip" else sent
        body = json.dumps({"encoding": encoding, "sent": len(sent), "text": text.decode()}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open("port.new", "w") as port:
    port.write(str(server.server_address[1]))
import os
os.rename("port.new", "port")
server.serve_forever()
PY
python3 server.py &
pids+=($!)
wait_until 10 test -s port
url=http://127.0.0.1:$(cat port)

pages() {
	printf "$url/%s\n" "$@" >urls
}

pages asked unasked deflate
weir get -i urls --allow-private --quiet
expect_code 0
expect_lines 3 stdout
expect_json stdout 'all(.[]; .ok and (.body | fromjson | .asked == "deflate, gzip, br, zstd" and (.pad | length) == 1000))'
expect_json stdout 'all(.[]; .bytes > 1000 and (has("content_encoding") | not))'

pages cut
weir get -i urls --allow-private --quiet
expect_code 3
expect_json stdout '.attempts == 2 and .body == null and .error == "protocol: the body cannot be decoded (gzip): it ends too early"'

pages bomb
weir get -i urls --allow-private --quiet
expect_code 3
expect_json stdout '.attempts == 1 and (.error | test("^too large: body over 10 MiB \\(--max-body\\), decoded from [0-9]+ bytes of gzip$"))'

pages unknown
weir get -i urls --allow-private --quiet
expect_json stdout '.ok and .content_encoding == "lzma" and .body == null'

# fetch KEYS: the answer to a step with them.
fetch() {
	pipeline <<YAML
source: { range: 1-1 }
steps:
  - http: { url: '$url/$2/\${.}', $1 }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
	rm -rf state out.jsonl
	run
	expect_code 0
}

fetch 'compress: none' asked
expect_json out.jsonl '.asked == ""'
fetch 'compress: none' unasked
expect_json out.jsonl '.asked == ""'
fetch "headers: { Accept-Encoding: 'gzip;q=0.5' }" asked
expect_json out.jsonl '.asked == "gzip;q=0.5"'

# Bodies of requests, too, where that is asked for.
pad=$(printf 'x%.0s' {1..1000})
fetch "compress_body: gzip, method: POST, json: { id: '\${.}', pad: $pad }" x
expect_json out.jsonl '.encoding == "gzip" and .sent < 200 and (.text | fromjson | .id == 1 and (.pad | length) == 1000)'
fetch "method: POST, json: { id: '\${.}' }" x
expect_json out.jsonl '.encoding == "" and .text == "{\"id\":1}"'
