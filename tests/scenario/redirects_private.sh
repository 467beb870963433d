# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A redirect to this machine, to a private network or to the metadata of a cloud is refused, however the address is
# written, and nothing is connected to.  The host of the config stands for a public one: only what it names is checked.
cat >server.py <<'PY'
import http.server, os, socket, threading

names = open("hosts").read().split()
trap = socket.create_server(("127.0.0.1", 0))
statuses = [301, 302, 303, 307, 308]

def wait_for_a_victim():
    while True:
        trap.accept()[0].close()
        open("connected", "a").write(".")

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        n = int(self.path.split("/")[1])
        port = "" if names[n - 1].startswith("!") else f":{trap.getsockname()[1]}"
        self.send_response(statuses[n % 5])
        location = f"http://{names[n - 1].lstrip('!')}{port}/latest/meta-data/"
        self.send_header("Location", location.encode().decode("latin-1"))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass

threading.Thread(target=wait_for_a_victim, daemon=True).start()
server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
with open("port.new", "w") as port:
    port.write(str(server.server_address[1]))
os.rename("port.new", "port")
server.serve_forever()
PY

# Decimal, octal, hexadecimal and short forms; IPv6 and what maps, translates or tunnels IPv4; zones; names.
cat >hosts <<'EOF'
127.0.0.1 127.1 2130706433 0177.0.0.1 017700000001 0x7f.1 0x7f000001 0X7F.0.0.1 127.255.255.254
0 0.0.0.0 localhost localhost. LOCALHOST sub.localhost
[::1] [::] [0:0:0:0:0:0:0:1] [::ffff:127.0.0.1] [::ffff:7f00:1] [::127.0.0.1] [64:ff9b::127.0.0.1] [64:ff9b::7f00:1]
[2002:7f00:1::] [fe80::1] [fe80::1%25lo] [fe80::1%lo] [fc00::1] [fd12::1] [ff02::1]
!169.254.169.254 !0xa9fea9fe !2852039166 !169.254.43518 ![::ffff:a9fe:a9fe] ![fd00:ec2::254]
10.0.0.1 172.16.0.1 172.31.255.255 192.168.0.1 100.64.0.1 198.18.0.1 224.0.0.1 255.255.255.255
127%2e0%2e0%2e1 127.0.0.1%00.example user@127.0.0.1 example.org@127.0.0.1 127。0。0。1 ①②⑦.0.0.1
EOF
# Other names of this machine, where /etc/hosts has some.
awk '$1 ~ /^(127\.|::1$)/ { for (i = 2; i <= NF && $i !~ /#/; i++) print $i }' /etc/hosts >>hosts
n=$(wc -w <hosts)
python3 server.py &
pids+=($!)
wait_until 10 test -s port

pipeline <<YAML
source: { range: 1-$n }
steps:
  - http: { url: 'http://127.0.0.1:$(cat port)/\${.}', follow: 3, headers: { X-Api-Key: s3cret }, expect: text }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
run
expect_code 3
expect_dead "$n" 'private address|^redirect: 30[1-8] to .*, which (is not a URL|has a host name with invalid|contains a user)'
expect_summary ".attempts == $n"
[ ! -e connected ] || fail "a private address was connected to: $(wc -c <connected)"

# The same from a list, in which no host is trusted.
while read -r -a words; do
	for word in "${words[@]}"; do
		echo "http://${word#!}:9/"
	done
done <hosts >urls
weir get -i urls --quiet --attempts 1
expect_code 3
expect_lines "$n" stdout
expect_json stdout 'all(.[]; (.ok | not) and .status == null and (.error | test("private address|^url: ")))'
