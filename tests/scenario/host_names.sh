# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `localhost` is tried on both of its addresses, whatever /etc/hosts says; a name beyond ASCII is looked up as DNS has it.
cat >server.py <<'PY'
import http.server, os, socket, threading

class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        body = f"{self.path} {self.headers['Host']}".encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass

class Server(http.server.ThreadingHTTPServer):
    def __init__(self, address):
        self.address_family = socket.AF_INET6 if ":" in address else socket.AF_INET
        super().__init__((address, 0), Handler)

def serve(address, name):
    server = Server(address)
    with open(name + ".new", "w") as port:
        port.write(str(server.server_address[1]))
    os.rename(name + ".new", name + ".port")
    server.serve_forever()

threading.Thread(target=serve, args=("127.0.0.1", "four")).start()
try:
    serve("::1", "six")
except OSError:
    open("six.port", "w").write("none")
PY
python3 server.py &
pids+=($!)
wait_until 10 test -s four.port
wait_until 10 test -s six.port

for name in four six; do
	port=$(cat "$name.port")
	[ "$port" != none ] || continue # no IPv6 here
	echo "http://localhost:$port/x" >urls
	weir get -i urls --allow-private --quiet --attempts 1
	expect_code 0
	expect_json stdout ".body == \"/x localhost:$port\""
done
weir get -i urls --quiet
expect_json stdout '.error | test("private address")'

# What answers is a proxy, so that no name is looked up.
echo 'http://bücher.example/ä?q=ö' >urls
weir get -i urls --quiet --proxy "127.0.0.1:$(cat four.port)"
expect_json stdout '.body == "http://xn--bcher-kva.example/%C3%A4?q=%C3%B6 xn--bcher-kva.example"'
pipeline <<YAML
source: { range: 1-1 }
steps:
  - http: { url: 'http://bücher.example/\${.}', proxy: '127.0.0.1:$(cat four.port)', expect: text }
sink: { jsonl: { path: out.jsonl } }
YAML
run
expect_code 0
expect_json out.jsonl '. == "http://xn--bcher-kva.example/1 xn--bcher-kva.example"'
