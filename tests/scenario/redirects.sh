# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir get` follows redirects, a pipeline does with `follow`; each request of a chain is a call to its own upstream.
# Another origin gets no credentials, a private address is refused, a chain ends.
cat >server.py <<'PY'
import http.server, json, os, sys, threading

def serve(name):
    log = open(name + ".log", "w", buffering=1)

    class Handler(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def answer(self):
            n = int(self.headers.get("Content-Length", 0))
            body = self.rfile.read(n).decode()
            headers = {k.lower(): v for k, v in self.headers.items()}
            log.write(json.dumps({"method": self.command, "path": self.path, "body": body, "headers": headers}) + "\n")
            word = self.path.split("/")
            if word[1] == "to":  # /to/CODE/HOST-OR-EMPTY/REST
                host = open(word[3] + ".port").read() if word[3] in ("a", "b") else ""
                host = f"http://127.0.0.1:{host}" if host else {"file": "file:", "localhost": f"http://localhost:{ports['b']}"}.get(word[3], "")
                return self.send(int(word[2]), b"moved", host + "/" + "/".join(word[4:]))
            if word[1] == "loop":
                return self.send(302, b"", "/loop")
            if word[1] == "job":
                return self.send(202, b"begun", "job-7")
            if word[1] == "job-7":
                return self.send(302, b"", "/end")
            if word[1] == "end" and headers.get("authorization") == "Bearer token-1":
                with open("token", "w") as token:
                    token.write("token-2")
                return self.send(401, b"an old one")
            if word[1] == "lost":
                return self.send(302, b"")
            self.send(200, json.dumps({"method": self.command, "path": self.path, "body": body, "headers": headers}).encode())

        def send(self, status, body, location=None):
            self.send_response(status)
            if location:
                self.send_header("Location", location)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_POST = answer

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    ports[name] = server.server_address[1]
    with open(name + ".new", "w") as port:
        port.write(str(ports[name]))
    os.rename(name + ".new", name + ".port")
    server.serve_forever()

ports = {}
threading.Thread(target=serve, args=("a",)).start()
serve("b")
PY
python3 server.py &
pids+=($!)
wait_until 10 test -s a.port
wait_until 10 test -s b.port
a=http://127.0.0.1:$(cat a.port) b=http://127.0.0.1:$(cat b.port)

# get PATH [OPTION ...]: the record of one URL of server a.
get() {
	echo "$a/$1" >urls
	weir get -i urls --allow-private --quiet "${@:2}"
}

get to/302/a/to/301/a/end
expect_code 0
expect_json stdout ".ok and .status == 200 and .attempts == 1 and .url == \"$a/to/302/a/to/301/a/end\" and .final_url == \"$a/end\""
get end
expect_json stdout '.ok and (has("final_url") | not)'
get to/302/a/end --follow 0
expect_code 3
expect_json stdout ".error == \"status: 302 to $a/end; --follow 5 follows it\""
get loop
expect_json stdout '.attempts == 1 and .error == "redirect: more than 5 (--follow), the last to /loop"'
expect test "$(grep -c '"/loop"' a.log)" -eq 6
get lost
expect_json stdout '.error == "status: 302 without a Location"'
get to/302/file/etc/passwd
expect_json stdout '.error == "redirect: 302 to file:/etc/passwd, which does not start with http:// or https://"'

# Credentials stay at their origin, and a POST becomes a GET; what may come is asked for there, too.
get to/302/b/end --header 'Authorization: Bearer s3cret' --header 'X-Api-Key: s3cret' --header 'Accept: text/plain'
expect_json stdout '.body | fromjson | .headers | has("authorization") or has("x-api-key") | not'
expect_json stdout '.body | fromjson | .headers.accept == "text/plain" and (.headers["accept-encoding"] | test("gzip"))'
get to/302/a/end --header 'X-Api-Key: s3cret'
expect_json stdout '.body | fromjson | .headers["x-api-key"] == "s3cret"'

# step KEYS: a pipeline with one item, and what the step had for it.
step() {
	rm -rf state out.jsonl dead.jsonl
	pipeline <<YAML
source: { range: 7-7 }
steps:
  - http: { $1 }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
	run "${@:2}"
}

post="method: POST, json: { id: '\${.}' }, headers: { X-Item: '\${.}' }, auth: { bearer: s3cret }, follow: 2"
step "url: '$a/to/307/a/end', $post"
expect_json out.jsonl '.headers["idempotency-key"] | test("^[0-9a-f]{32}-[0-9]+$")'
expect_json out.jsonl '.method == "POST" and .body == "{\"id\":7}" and .headers.authorization == "Bearer s3cret" and .headers["x-item"] == "7"'
step "url: '$a/to/307/b/end', $post" --allow-private
expect_json out.jsonl '.method == "POST" and .body == "{\"id\":7}" and .headers["content-type"] == "application/json"'
expect_json out.jsonl '.headers | has("authorization") or has("x-item") | not'
expect_json out.jsonl ".headers[\"idempotency-key\"] == $(jq 'select(.path | endswith("/to/307/b/end")).headers["idempotency-key"]' a.log)"
step "url: '$a/to/303/a/end', $post"
expect_json out.jsonl '.method == "GET" and .body == "" and (.headers | has("content-type") or has("content-length") or has("idempotency-key") | not)'
step "url: '$a/to/302/a/end', ok: [200, 302], expect: text, follow: 2"
expect_json out.jsonl '. == "moved"'

# A rule judges the answer at the end; `weir try` shows each request as it is sent.
step "url: '$a/to/302/a/end', $post, when: [{ if: .status == 302, then: pause }, { if: '.body.path == \"/end\"', then: dead }]"
expect_dead 1 '^status: 200 \(rule 2 of when\)$'
expect_json dead.jsonl ".evidence | .method == \"GET\" and .final_url == \"$a/end\" and (.curl | startswith(\"curl $a/end \")) and (has(\"sent\") or has(\"key\") | not)"
step "url: '$a/to/307/b/end', $post" --allow-private
weir try --json --allow-private pipeline.yaml
expect_json stdout '[.steps[].verdict] == ["followed", "ok"] and .result == "ok" and (.rows | length) == 1'
expect_json stdout ".steps[1].request | .url == \"$b/end\" and (.headers | has(\"X-Item\") | not) and (.curl | test(\"s3cret\") | not)"
jq -r '.steps[1].request.curl' stdout >curl.sh
jq -S '.steps[1].outputs[0]' stdout >weir.json
bash curl.sh 2>/dev/null | jq -S . | expect diff weir.json -
weir try --allow-private pipeline.yaml
expect_out 'a redirect, which is followed$'
expect_out "^    curl $b/end "

# Credentials that change are made for each request of a chain, and stay at its origin as well.
printf token-1 >token
renewed="follow: 2, auth: { bearer: '\${file:token}' }"
step "url: '$a/to/302/a/end', $renewed"
expect_json out.jsonl '.headers.authorization == "Bearer token-2"'
expect_summary '.attempts == 1'
step "url: '$a/to/302/b/end', $renewed" --allow-private
expect_json out.jsonl '.headers | has("authorization") | not'
signed="method: POST, json: { id: '\${.}' }, follow: 2, auth: { aws: { service: s, region: r, access_key: k, secret_key: s3cret } }"
step "url: '$a/to/303/a/end', $signed"
expect_json out.jsonl '.headers.authorization | test("SignedHeaders=host;x-amz-[a-z0-9;-]*,")'
step "url: '$a/to/307/a/end', $signed"
expect_json out.jsonl '.headers.authorization | test("SignedHeaders=content-type;host;idempotency-key;x-amz-[a-z0-9;-]*,")'
step "url: '$a/to/307/b/end', $signed" --allow-private
expect_json out.jsonl '.headers | keys | any(startswith("x-amz") or . == "authorization") | not'

# Where the items name the host, the config says which ones get credentials.
printf '{"url": "%s/end"}\n' "$a" "http://localhost:$(cat b.port)" >items.jsonl
hosts="auth: { basic: 'me:s3cret', hosts: [127.0.0.1, '*.example.com'] }"
cat >pipeline.yaml <<YAML
source: { jsonl: { path: items.jsonl } }
steps:
  - http: { url: '\${.url}', $hosts }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
rm -rf state out.jsonl dead.jsonl
seen=$(wc -l <b.log)
run --allow-private
expect_json out.jsonl '.headers.authorization | startswith("Basic ")'
expect_dead 1 '^auth: localhost is not in auth.hosts, so it gets no credentials$'
expect test "$(wc -l <b.log)" = "$seen"
sed -i "s/auth: .* }/headers: { X-Api-Key: '\${env:HOME}' } }/" pipeline.yaml
weir check pipeline.yaml
expect_code 0
expect_err 'pipeline.yaml:[0-9:]+ warning: the host of url comes from the item, and the header X-Api-Key goes to any host'

# A job may be begun and asked for through redirects.
step "url: '$a/to/307/a/job', poll: 20ms, $post"
expect_json out.jsonl '.method == "GET" and .path == "/end" and .headers.authorization == "Bearer s3cret" and .headers["x-item"] == "7"'
expect_json out.jsonl '.headers | has("content-type") or has("idempotency-key") | not'
expect test "$(grep -c '"/job"' a.log)" -eq 1

# The host of the config may be a private one; another one that a server names may not, by number or by name.
step "url: '$a/to/302/b/end', follow: 1"
expect_dead 1 'private address'
expect_json dead.jsonl ".evidence.final_url == \"$b/end\""
step "url: '$a/to/302/localhost/end', follow: 1"
expect_dead 1 'private address'
step "url: '$a/to/302/b/end'"
expect_dead 1 "^status: 302 to $b/end; set follow: 5 to follow it\$"

# A rate holds for every request: 6 of them at 10 a second, of which the first is free.
rm -rf state out.jsonl
pipeline <<YAML
source: { range: 1-3 }
steps:
  - http: { url: '$a/to/302/a/n/\${.}', follow: 1 }
  - jq: '.path'
flow: { rate: 10/s, burst: 1, concurrency: 3 }
sink: { jsonl: { path: out.jsonl } }
YAML
began=${EPOCHREALTIME/./}
run
expect_code 0
expect_json out.jsonl 'sort == ["/n/1", "/n/2", "/n/3"]'
expect test $((${EPOCHREALTIME/./} - began)) -ge 490000

# The same without permits.
sed -i 's/^flow:.*/flow: { pattern: naive }/' pipeline.yaml
rm -rf state out.jsonl
run
expect_code 0
expect_lines 3 out.jsonl
