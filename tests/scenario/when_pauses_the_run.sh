# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A rule with `then: pause`: the run is paused and says why, and what to type; after weir resume the item is tried again
# and has used up no attempt.  A rule that cannot be asked makes a dead letter that names it.
cat >server.py <<'PY'
import http.server, json, os

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        paid = os.path.exists("paid") or self.path != "/2"
        text = json.dumps({"id": self.path, "n": len(self.path)} if paid else
                          {"error": {"code": "insufficient_quota", "message": "You exceeded your quota"}}).encode()
        self.send_response(200 if paid else 429)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open("new", "w") as port:
    port.write(str(server.server_port))
os.rename("new", "port")
server.serve_forever()
PY
python3 server.py &
pids+=($!)
wait_until 10 test -s port
pipeline <<YAML
name: bill
source: { range: 1-12 }
steps:
  - http:
      url: http://127.0.0.1:$(cat port)/\${.}
      when:
        - { if: '.body.error.code == "insufficient_quota"', then: pause }
        - { if: '.body.id == "/11" and .body.n', then: ok }
        - { if: '.body.id == "/12"', then: dead }
        - { if: '.body.id == "/10" and (.body | keys | .[0] | not)', then: drop }
  - jq: '. + {attempt: \$meta.attempt}'
flow: { retry: { attempts: 1, backoff: 10ms } }
sink: { jsonl: out.jsonl }
dead_letter: { jsonl: dead.jsonl }
YAML
start_run
paused() { status_says '.state == "running" and .flow.paused and .flow.why == "paused" and (.flow.pause | test("quota"))'; }
wait_until 10 paused
weir status state
expect_out 'paused: status: 429 \(rule 1 of when\): "You exceeded your quota"; weir resume .* continues'
touch paid
weir resume state
expect_code 0
finish
expect_code 3
expect_json out.jsonl 'length == 11 and all(.[]; .attempt == 1)'
expect_dead 1 '^status: 200 \(rule 3 of when\)$'
expect_json dead.jsonl '.item == 12 and .attempts == 1'
