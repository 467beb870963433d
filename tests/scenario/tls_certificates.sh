# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A certificate that is self-signed, expired or of another host is refused at the first attempt, with the reason; one of
# a private authority is good with tls.ca, --ca or SSL_CERT_FILE.  Keys of sessions are written nowhere.
. "$TREE/tests/support/servers.sh"
authority
new_key self
openssl req -x509 -key self.key -subj /CN=self -days 2 -out self.pem -addext subjectAltName=IP:127.0.0.1
certificate good IP:127.0.0.1
certificate expired IP:127.0.0.1 -1
certificate other DNS:other.example

# A server for each, on a port that it writes to NAME.port; `slow` waits a second before the handshake.
cat >servers.py <<'PY'
import os, socket, ssl, threading, time

def answer(connection, context, pause):
    try:
        time.sleep(pause)
        with context.wrap_socket(connection, server_side=True) as tls:
            tls.recv(4096)
            tls.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 6\r\n\r\n[\"ok\"]")
    except OSError:
        pass

def serve(name, certificate, pause):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate + ".pem", certificate + ".key")
    listener = socket.create_server(("127.0.0.1", 0))
    with open(name + ".new", "w") as port:
        port.write(str(listener.getsockname()[1]))
    os.rename(name + ".new", name + ".port")
    while True:
        connection, _ = listener.accept()
        threading.Thread(target=answer, args=(connection, context, pause), daemon=True).start()

for row in ("good", "good", 0), ("self", "self", 0), ("expired", "expired", 0), ("other", "other", 0), ("slow", "good", 1):
    threading.Thread(target=serve, args=row).start()
PY
python3 servers.py &
pids+=($!)
for name in good self expired other slow; do wait_until 10 test -s "$name.port"; done

# fetch NAME [OPTION ...]: its record is in stdout.
fetch() {
	echo "https://127.0.0.1:$(cat "$1.port")/" >url
	weir get -i url --allow-private --quiet "${@:2}"
}

# refuses NAME REGEX [OPTION ...]
refuses() {
	fetch "$1" "${@:3}"
	expect_code 3
	expect_json stdout ".ok == false and .attempts == 1 and (.error | test(\"^tls: .*$2\"))"
}

refuses self 'self.signed.*; tls.ca, or --ca of weir get, names the authority to trust$'
refuses good 'unable to get local issuer certificate; tls.ca, or --ca'
refuses expired 'certificate has expired; its owner has to renew it, or the clock here is wrong$' --ca ca.pem
refuses other "no alternative certificate subject name matches .*; tls.server_name is the name to expect instead\$" --ca ca.pem
refuses self 'self.signed' --ca ca.pem

export SSLKEYLOGFILE=$PWD/keys
fetch good --ca ca.pem
expect_code 0
expect_json stdout '.ok and .body == "[\"ok\"]"'
SSL_CERT_FILE=self.pem fetch self
expect_code 0
expect_json stdout '.ok'
SSL_CERT_FILE=self.pem refuses good 'unable to get local issuer certificate'
SSL_CERT_FILE=self.pem fetch good --ca ca.pem
expect_code 0
expect test ! -e keys

# A file that is none is said once, not for each URL.
fetch good --ca url
expect_code 69
expect_err 'url contains no PEM certificate'
SSL_CERT_FILE=nowhere fetch good
expect_code 69
expect_err 'cannot read the certificates in nowhere'

fetch slow --ca ca.pem --attempts 1 --timeout 300ms
expect_json stdout '.error == "timeout: no complete answer in 300 ms (--timeout)"'

# A handshake has the time that timeout.connect gives it.
pipeline <<YAML
source: { range: 1-2 }
steps:
  - http: { url: 'https://127.0.0.1:$(cat slow.port)/', tls: { ca: ca.pem }, timeout: { connect: 200ms, total: 5s } }
flow: { retry: { attempts: 1 } }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
run
expect_code 3
expect_dead 2 '^timeout: no connection in 200 ms \(timeout.connect\)$'
sed -i 's/connect: 200ms, //' pipeline.yaml
rm -rf state dead.jsonl
run
expect_code 0
expect_lines 2 out.jsonl
