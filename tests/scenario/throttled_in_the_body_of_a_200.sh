# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A GraphQL server that says THROTTLED in an answer with the status 200, and when to come back: no call is made before
# that, the item is tried again and uses up no attempt.  Without a rule the error is a row like any other.
cat >server.py <<'PY'
import http.server, json, os, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    calls, opens = 0, 0.0

    def do_GET(self):
        Handler.calls += 1
        early = time.time() < Handler.opens
        if Handler.calls == 3 or early:
            Handler.opens = Handler.opens if early else time.time() + 0.4
            left = {"currentlyAvailable": 60, "restoreRate": 100}
            body = {"errors": [{"extensions": {"code": "THROTTLED"}}], "early": early,
                    "extensions": {"cost": {"requestedQueryCost": 100, "throttleStatus": left}}}
        else:
            body = {"data": {"id": self.path}}
        text = json.dumps(body).encode()
        self.send_response(200)
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
graphql() {
	pipeline <<YAML
source: { range: 1-8 }
broker: { memory: {} }
steps:
  - http:
      url: http://127.0.0.1:$(cat port)/\${.}
      $1
  - jq: '. + {attempt: \$meta.attempt}'
flow: { concurrency: 1, retry: { attempts: 1 } }
sink: { jsonl: { path: out.jsonl, on_start: replace } }
YAML
	rm -rf state
	run
	expect_code 0
}
graphql 'when:
        - if: .body.errors[0].extensions.code == "THROTTLED"
          then: throttled
          after: .body.extensions.cost | (.requestedQueryCost - .throttleStatus.currentlyAvailable) / .throttleStatus.restoreRate'
expect_json out.jsonl 'length == 8 and all(.[]; .data.id and .attempt == 1)'
expect_summary '.flow.throttled == 1 and .retries == 0 and .succeeded == 8'

kill "${pids[-1]}"
rm -f port
python3 server.py &
pids+=($!)
wait_until 10 test -s port
graphql ''
expect_json out.jsonl '[.[] | select(.errors)] | length > 0'
