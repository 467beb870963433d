# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Requests signed for AWS: a server that makes the signature itself, of what arrives, finds the same.  Keys come from the
# config, or from the usual variables of the environment.
cat >server.py <<'PY'
import hashlib, hmac, http.server, json, os, urllib.parse

KEYS = {"AKIDCONFIG": "config+secret", "AKIDENVIRONMENT": "environment/secret"}

def mac(key, text):
    return hmac.new(key, text.encode(), hashlib.sha256).digest()

def check(method, target, headers, body):
    scheme, rest = headers["authorization"].split(" ", 1)
    fields = dict(part.strip().split("=", 1) for part in rest.split(","))
    key, day, region, service, end = fields["Credential"].split("/")
    path, _, query = target.partition("?")
    if service != "s3":
        path = urllib.parse.quote(path, safe="/~")
    pairs = sorted((urllib.parse.quote(n, safe="~"), urllib.parse.quote(v, safe="~"))
                   for n, v in urllib.parse.parse_qsl(query, keep_blank_values=True))
    names = fields["SignedHeaders"].split(";")
    hashed = hashlib.sha256(body).hexdigest()
    canonical = "\n".join([method, path, "&".join(n + "=" + v for n, v in pairs),
                           *(n + ":" + " ".join(headers[n].split()) for n in names), "", ";".join(names), hashed])
    text = "\n".join(["AWS4-HMAC-SHA256", headers["x-amz-date"], "/".join((day, region, service, end)),
                      hashlib.sha256(canonical.encode()).hexdigest()])
    derived = mac(mac(mac(mac(("AWS4" + KEYS[key]).encode(), day), region), service), end)
    return {"good": hmac.new(derived, text.encode(), hashlib.sha256).hexdigest() == fields["Signature"],
            "key": key, "region": region, "names": names, "token": headers.get("x-amz-security-token"),
            "hash": headers.get("x-amz-content-sha256") == hashed}

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def log_message(self, *args):
        pass
    def serve(self):
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        said = check(self.command, self.path, {k.lower(): v for k, v in self.headers.items()}, body)
        text = json.dumps(said).encode()
        self.send_response(200 if said["good"] else 403)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)
    do_GET = do_POST = do_PUT = serve

server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
with open("port.new", "w") as file:
    file.write(str(server.server_address[1]))
os.rename("port.new", "port")
server.serve_forever()
PY
python3 server.py &
pids+=($!)
wait_until 10 test -s port
SERVER=http://127.0.0.1:$(cat port)
export SERVER
echo '{"id": 7, "name": "a b/ü+?&=*"}' >items.jsonl

# sign KEYS-OF-AWS LINE ...
sign() {
	rm -rf state
	pipeline <<YAML
source: { jsonl: { path: items.jsonl } }
steps:
  - http:
      url: '\${env:SERVER}/x/\${.name}/\$a?z=1&name=\${.name}&a=b%2fc+d&e'
      auth: { aws: { $1 } }
$(printf '      %s\n' "${@:2}")
sink: { jsonl: { path: out.jsonl, on_start: replace } }
dead_letter: { jsonl: { path: dead.jsonl, on_start: replace } }
YAML
	run
}

sign 'service: execute-api, region: eu-central-1, access_key: AKIDCONFIG, secret_key: config+secret'
expect_code 0
expect_json out.jsonl '.good and .key == "AKIDCONFIG" and .region == "eu-central-1" and .token == null'

export AWS_ACCESS_KEY_ID=AKIDENVIRONMENT AWS_SECRET_ACCESS_KEY=environment/secret AWS_SESSION_TOKEN=session-canary \
	AWS_REGION=us-west-2
sign 'service: lambda' 'method: POST' "json: { name: '\${.name}' }" "headers: { X-Order: '\${.id}', X-Fixed: a  b }"
expect_code 0
expect_json out.jsonl '.good and .key == "AKIDENVIRONMENT" and .region == "us-west-2" and .token == "session-canary" and
	.names == ["content-type", "host", "idempotency-key", "x-amz-date", "x-amz-security-token", "x-fixed", "x-order"]'
expect_code 0

# Keys of the config are not mixed with the token of the environment; the secret of the environment is hidden.
sign 'service: lambda, access_key: AKIDCONFIG, secret_key: config+secret'
expect_json out.jsonl '.good and .token == null'
sed -i 's|/x/.*e'"'"'|/x'"'"'|; s/service: lambda.*/service: s3 } }/; s/^sink/      method: PUT\n      body: "{}"\n&/' pipeline.yaml
rm -rf state
run
expect_code 0
expect_json out.jsonl '.good and .hash'
weir check pipeline.yaml --explain
expect_code 0
! grep -q 'environment/secret\|session-canary' stdout stderr || fail "a secret is shown"

unset AWS_SECRET_ACCESS_KEY
weir check pipeline.yaml
expect_code 78
expect_err 'pipeline.yaml:[0-9:]+ auth.aws has no secret_key; set it, or the environment variable AWS_SECRET_ACCESS_KEY'
