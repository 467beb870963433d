# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# With `http: 2` a server that speaks nothing but HTTP/2 is called, on connections that are used again; a stream that it
# resets is tried again.  One that knows HTTP/1.1 only is called with `http: auto`, and with `http: 2` is sent nothing.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout tls.key -out tls.pem -days 2 \
	-subj /CN=tls -addext subjectAltName=IP:127.0.0.1 2>/dev/null

# As much of HTTP/2 as it takes: an answer to each stream that has ended, the third of all reset.
cat >server.py <<'PY'
import json, os, socket, ssl, threading

DATA, HEADERS, RST_STREAM, SETTINGS = 0, 1, 3, 4
seen = {"connections": 0, "streams": 0}

def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + stream.to_bytes(4, "big") + payload

def read(tls, n):
    data = b""
    while len(data) < n:
        more = tls.recv(n - len(data))
        if not more:
            raise OSError
        data += more
    return data

def answer_2(tls):
    read(tls, 24)
    tls.sendall(frame(SETTINGS, 0, 0))
    bodies = {}
    while True:
        head = read(tls, 9)
        n, kind, flags, stream = int.from_bytes(head[:3], "big"), head[3], head[4], int.from_bytes(head[5:], "big")
        payload = read(tls, n)
        if kind == SETTINGS and not flags & 1:
            tls.sendall(frame(SETTINGS, 1, 0))
        if kind == DATA:
            bodies[stream] = bodies.get(stream, b"") + payload
        if kind in (DATA, HEADERS) and flags & 1:
            seen["streams"] += 1
            if seen["streams"] == 3:
                tls.sendall(frame(RST_STREAM, 0, stream, (2).to_bytes(4, "big")))
                continue
            body = json.dumps({"body": bodies.get(stream, b"").decode(), **seen}).encode()
            tls.sendall(frame(HEADERS, 4, stream, b"\x88") + frame(DATA, 1, stream, body))

def answer_1(tls):
    tls.recv(65536)
    tls.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 14\r\n\r\n{\"version\": 1}")

def serve(connection, context, answer):
    try:
        with context.wrap_socket(connection, server_side=True) as tls:
            if (answer is answer_2) == (tls.selected_alpn_protocol() == "h2"):
                seen["connections"] += 1
                answer(tls)
    except OSError:
        pass

def listen(name, answer, protocols):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain("tls.pem", "tls.key")
    context.set_alpn_protocols(protocols)
    listener = socket.create_server(("127.0.0.1", 0))
    with open(name + ".new", "w") as port:
        port.write(str(listener.getsockname()[1]))
    os.rename(name + ".new", name + ".port")
    while True:
        threading.Thread(target=serve, args=(listener.accept()[0], context, answer), daemon=True).start()

threading.Thread(target=listen, args=("one", answer_1, ["http/1.1"])).start()
listen("two", answer_2, ["h2"])
PY
python3 server.py &
pids+=($!)
for name in one two; do wait_until 10 test -s "$name.port"; done

# call SERVER KEYS: three items.
call() {
	rm -rf state out.jsonl dead.jsonl
	pipeline <<YAML
source: { range: 1-3 }
steps:
  - http: { url: 'https://127.0.0.1:$(cat "$1.port")/\${.}', tls: { ca: tls.pem }, $2 }
flow: { concurrency: 1, retry: { attempts: 2, backoff: 1ms..5ms } }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
	run
}

call two 'http: 2, method: POST, json: { id: "${.}" }'
expect_code 0
expect_json out.jsonl 'map(.body) | sort == ["{\"id\":1}", "{\"id\":2}", "{\"id\":3}"]'
expect_json out.jsonl 'map(.streams) | max == 4'
expect_json out.jsonl 'map(.connections) | max <= 2'
call two 'http: auto'
expect_json out.jsonl 'map(.streams) | max == 7'
call one 'http: 2'
expect_dead 3 '^protocol: the server does not offer HTTP/2; http: auto takes 1.1, too$'
call one 'http: auto'
expect_json out.jsonl 'length == 3 and all(.[]; .version == 1)'
call two 'http: 1.1'
expect_code 3
