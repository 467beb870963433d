# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# What servers do that they should not: a body after an answer that has none, which then lies on the connection; headers
# of 70 KB, a length that was joined from two lines, trailers that look like headers.  And what weir should not: a
# Content-Type without a body.
cat >server.py <<'PY'
import json, os, socket, threading, time

def answer(method, path, headers, n):
    word = path.split("/")[1]
    good = json.dumps({"n": n, "type": headers.get("content-type")}).encode()
    plain = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(good)
    if word == "messy":  # the body of a HEAD, a moment later
        return [plain, good]
    if word == "joined":
        return [b"HTTP/1.1 200 OK\r\nContent-Length: %d, %d\r\n\r\n" % (len(good), len(good)) + good]
    if word == "trailer":
        return [b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\nContent-Length: 9\r\nLocation: /\r\n\r\n" % (len(good), good)]
    if word == "cookies":
        return [plain[:-2] + b"".join(b"Set-Cookie: c%d=%s\r\n" % (i, b"x" * 3900) for i in range(18)) + b"\r\n" + good]
    if word == "large":
        return [b"HTTP/1.1 200 OK\r\nContent-Length: 3000\r\n\r\n" + b"x" * 3000]
    return [plain + good]

def serve(connection):
    rest, n = b"", 0
    try:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        while True:
            while b"\r\n\r\n" not in rest:
                data = connection.recv(65536)
                if not data:
                    return
                rest += data
            head, rest = rest.split(b"\r\n\r\n", 1)
            lines = head.decode().split("\r\n")
            headers = {k.lower(): v.strip() for k, v in (line.split(":", 1) for line in lines[1:])}
            method, path, _ = lines[0].split(" ")
            n += 1
            for i, part in enumerate(answer(method, path, headers, n)):
                time.sleep(0.01 * i)
                connection.sendall(part)
    except OSError:
        pass

listener = socket.create_server(("127.0.0.1", 0))
with open("port.new", "w") as port:
    port.write(str(listener.getsockname()[1]))
os.rename("port.new", "port")
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
PY
python3 server.py &
pids+=($!)
wait_until 10 test -s port
url=http://127.0.0.1:$(cat port)

# An attempt that meets what lies on a connection is followed by one that does not.
for i in 1 2 3 4 5 6; do echo "$url/messy/$i"; done >urls
weir get -i urls --allow-private --quiet --method HEAD --attempts 2 --concurrency 2
expect_code 0
expect_json stdout 'length == 6 and all(.[]; .ok and .body == "") and (map(.attempts) | add) > 6'

printf "$url/%s\n" joined trailer cookies >urls
weir get -i urls --allow-private --quiet --attempts 1
expect_code 0
expect_json stdout 'length == 3 and all(.[]; .ok and (.body | fromjson | .n >= 1))'

echo "$url/large" >urls
weir get -i urls --allow-private --quiet --max-body 2KiB
expect_code 3
expect_json stdout '.error == "too large: body over 2 KiB (--max-body)"'
weir get -i urls --allow-private --quiet --max-body 3KiB
expect_code 0

# type KEYS: the Content-Type that the server saw.
type_of() {
	rm -rf state out.jsonl
	pipeline <<YAML
source: { range: 1-1 }
steps:
  - http: { url: '$url/\${.}', method: POST, $1 }
sink: { jsonl: { path: out.jsonl } }
YAML
	run
	expect_json out.jsonl ".type == $2"
}
type_of 'ok: [200]' null
type_of 'body: ""' '"application/json"'
type_of 'headers: { Content-Type: text/x }' '"text/x"'
