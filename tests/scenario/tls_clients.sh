# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# weir shows a server that asks for it a certificate of its own, but no other origin to which a redirect leads; and takes
# a server by the name in tls.server_name where the URL has its address.
. "$TREE/tests/support/servers.sh"
authority
certificate good IP:127.0.0.1
certificate named DNS:named.example
certificate client DNS:client.example
openssl ec -in client.key -aes128 -passout pass:s3cret -out locked.key 2>/dev/null
cat client.pem client.key >both.pem

# Each answers with the client's name and the header Host; `asking` insists on a certificate, /away leads to `other`,
# /down to http, and `cutting` resets the connection when the request has come.
cat >servers.py <<'PY'
import json, os, socket, ssl, struct, threading

# To close with bytes unread would reset the connection, and with it the alert that a certificate is wanted.
def shake_hands(tls):
    try:
        tls.do_handshake()
    except ssl.SSLError:
        while socket.socket.recv(tls, 4096):
            pass
        raise

def answer(connection, context, name):
    try:
        with context.wrap_socket(connection, server_side=True, do_handshake_on_connect=False) as tls:
            shake_hands(tls)
            head = tls.recv(4096).decode()
            if name == "cutting":
                tls.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                return
            subject = dict(part[0] for part in (tls.getpeercert() or {}).get("subject", ()))
            host = head.split("Host: ")[1].split("\r")[0]
            body = json.dumps({"client": subject.get("commonName"), "host": host})
            to = ""
            if head.startswith("GET /away "):
                to = f"Location: https://127.0.0.1:{open('other.port').read()}/\r\n"
            if head.startswith("GET /down "):
                to = "Location: http://127.0.0.1:1/\r\n"
            status = "302 Found" if to else "200 OK"
            tls.sendall(f"HTTP/1.1 {status}\r\n{to}Connection: close\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())
    except OSError:
        pass

def serve(name, certificate, asks):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate + ".pem", certificate + ".key")
    context.load_verify_locations("ca.pem")
    context.verify_mode = asks
    listener = socket.create_server(("127.0.0.1", 0))
    with open(name + ".new", "w") as port:
        port.write(str(listener.getsockname()[1]))
    os.rename(name + ".new", name + ".port")
    while True:
        threading.Thread(target=answer, args=(listener.accept()[0], context, name), daemon=True).start()

for row in (("asking", "good", ssl.CERT_REQUIRED), ("other", "good", ssl.CERT_OPTIONAL), ("named", "named", ssl.CERT_NONE),
            ("cutting", "good", ssl.CERT_OPTIONAL)):
    threading.Thread(target=serve, args=row).start()
PY
python3 servers.py &
pids+=($!)
for name in asking other named cutting; do wait_until 10 test -s "$name.port"; done

# tls SERVER[/PATH] KEYS [OPTION ...]: a run of one item.
tls() {
	rm -rf state out.jsonl dead.jsonl
	pipeline <<YAML
source: { range: 1-1 }
steps:
  - http: { url: 'https://127.0.0.1:$(cat "${1%%/*}.port")/${1#*/}', tls: { ca: ca.pem, $2 }, follow: 1 }
flow: { retry: { attempts: 1 } }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
	run "${@:3}"
}

tls asking ''
expect_dead 1 'certificate required'
tls cutting ''
expect_dead 1 '^reset: connection reset after the TLS handshake; the server may want a client certificate \(tls.cert\)$'
tls cutting 'cert: both.pem'
expect_dead 1 '^reset: connection reset$'
for keys in 'cert: client.pem, key: client.key' 'cert: both.pem' 'cert: client.pem, key: locked.key, password: s3cret'; do
	tls asking "$keys"
	expect_json out.jsonl '.client == "client"'
done
tls asking 'cert: client.pem, key: locked.key' </dev/null
expect_dead 1 '^tls: '
tls asking/away 'cert: both.pem' --allow-private
expect_json out.jsonl '.client == null'
tls other/down ''
expect_dead 1 '^redirect: 302 to http://127.0.0.1:1/, from https to http, which weir does not follow$'
tls asking 'cert: client.pem'
expect_code 69
expect_err 'client.pem contains no PEM private key'
tls asking 'key: client.key'
expect_code 78
expect_err 'tls has a key and no cert'

tls named ''
expect_dead 1 '^tls: .*subject name matches'
tls named 'server_name: named.example'
expect_json out.jsonl ".host == \"127.0.0.1:$(cat named.port)\""
tls other 'server_name: named.example'
expect_dead 1 '^tls: .*subject name'
