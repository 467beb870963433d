# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# An HTTP proxy, from the environment, the option or the key: it looks the hosts up, so names that only it knows will do.
# What it refuses has a reason that says what to do, and no message has its password.
openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -keyout tls.key -out tls.pem -days 2 \
	-subj /CN=tls -addext subjectAltName=DNS:tls.example 2>/dev/null

# Answers plain requests itself, as its log tells; a CONNECT by the name of the host.
cat >proxy.py <<'PY'
import base64, json, os, socket, ssl, threading, time

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain("tls.pem", "tls.key")
statuses = {"deny": "403 Forbidden", "gone": "502 Bad Gateway", "password": "407 Proxy Authentication Required"}
counts = {}

def read_head(connection):
    head = b""
    while b"\r\n\r\n" not in head:
        data = connection.recv(65536)
        if not data:
            raise OSError
        head += data
    lines = head.decode().split("\r\n")
    return lines[0].split(" "), {k.lower(): v.strip() for k, v in (l.split(":", 1) for l in lines[1:] if l)}

def say(connection, status, record):
    body = json.dumps(record)
    connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\n\r\n{body}".encode())

# SOCKS 5, as far as libcurl speaks it: the greeting, the password, a name to connect to.  Then the host is this, too.
def read_socks(connection):
    def take(n):
        return connection.recv(n, socket.MSG_WAITALL)

    methods = take(take(2)[1])
    user = b""
    if 2 in methods:
        connection.sendall(b"\5\2")
        user = take(take(2)[1])
        password = take(take(1)[0])
        connection.sendall(b"\1\0" if password == b"s3cret" else b"\1\1")
    else:
        connection.sendall(b"\5\0")
    head = take(5)
    host = take(head[4]).decode()
    take(2)
    connection.sendall(b"\5" + {"deny": b"\2", "gone": b"\4"}.get(host.split(".")[0], b"\0") + b"\0\1\0\0\0\0\0\0")
    return host, user.decode()

def serve(connection):
    try:
        if connection.recv(1, socket.MSG_PEEK) == b"\5":
            host, user = read_socks(connection)
            _, headers = read_head(connection)
            return say(connection, "200 OK", {"target": host, "user": user, "headers": headers})
        (method, target, _), headers = read_head(connection)
        user = base64.b64decode(headers.get("proxy-authorization", "Basic ").split(" ")[1]).decode()
        word = (target if method == "CONNECT" else target.split("/")[2]).split(".")[0]
        counts[word] = counts.get(word, 0) + 1
        if word in statuses and not (word == "password" and user == "user:s3cret"):
            return say(connection, statuses[word], {})
        if word == "slow":
            time.sleep(9)
        if word == "once" and counts[word] == 1 or word == "cut":
            return
        if method != "CONNECT":
            return say(connection, "200 OK", {"target": target, "user": user, "headers": headers})
        connection.sendall(b"HTTP/1.1 200 Connection established\r\nContent-Length: 7\r\n\r\n")
        if word == "broken":
            return
        with context.wrap_socket(connection, server_side=True) as tls:
            line, inner = read_head(tls)
            say(tls, "200 OK", {"target": line[1], "user": user, "outer": headers, "headers": inner})
    except (OSError, IndexError):
        pass
    finally:
        connection.close()

listener = socket.create_server(("127.0.0.1", 0))
with open("port.new", "w") as port:
    port.write(str(listener.getsockname()[1]))
os.rename("port.new", "port")
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
PY
python3 proxy.py &
pids+=($!)
wait_until 10 test -s port
at=127.0.0.1:$(cat port)
unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY

# get URL [OPTION ...]: its record is in stdout.
get() {
	echo "$1" >urls
	weir get -i urls --quiet --ca tls.pem "${@:2}"
}

HTTP_PROXY=http://$at get http://a.example/x
expect_json stdout '.ok and (.body | fromjson | .target == "http://a.example/x" and .user == "")'
ALL_PROXY=http://user:s3cret@$at get https://tls.example/x --header 'X-Api-Key: k'
expect_json stdout '.body | fromjson | .target == "/x" and .user == "user:s3cret" and .headers["x-api-key"] == "k"'
expect_json stdout '.body | fromjson | .outer | has("x-api-key") | not'
get http://password.example/ --proxy "user:s3cret@$at"
expect_json stdout '.ok'

# Not for what NO_PROXY lists, nor for this machine; not with `none`.
HTTP_PROXY=http://$at NO_PROXY=invalid get http://a.invalid/ --attempts 1
expect_json stdout '.error | test("^dns: ")'
HTTP_PROXY=http://$at get "http://$at/" --allow-private --attempts 1
expect_json stdout '.ok | not'
HTTP_PROXY=http://$at get http://a.invalid/ --attempts 1 --proxy none
expect_json stdout '.error | test("^dns: ")'

# What it can check of a private address, it does: the proxy would connect to it.
get http://localhost/ --proxy "$at"
expect_json stdout '.error | test("private address")'
get http://10.0.0.1/ --proxy "$at"
expect_json stdout '.error | test("private address")'

# refuses HOST ATTEMPTS REASON [PROXY]
refuses() {
	get "https://$1.example/" --attempts 2 --proxy "${4-$at}"
	expect_code 3
	expect_json stdout ".attempts == $2 and (.error | test(\"$3\"))"
	expect test "$(grep -c s3cret stdout stderr | grep -vc ':0')" -eq 0
}
refuses deny 1 "^proxy: $at does not connect to deny.example:443 \\\\(403\\\\)\$"
refuses gone 2 "^proxy: $at cannot reach gone.example:443 \\\\(502\\\\)\$"
refuses password 1 "^proxy: $at wants a password \\\\(407\\\\); set proxy: http://user:password@host:port\$"
refuses password 1 "^proxy: $at does not accept the user and password" "user:s3cret2@$at"
refuses cut 2 "^proxy: $at closed the connection before it had one to cut.example\$"
refuses broken 2 "^(tls|reset): .*\\\\(through the proxy $at\\\\)\$"
refuses a 2 '^connect: proxy 127.0.0.1:1: refused$' 127.0.0.1:1
refuses a 2 '^dns: proxy nowhere.invalid:3128: ' nowhere.invalid:3128
get https://slow.example/ --proxy "$at" --attempts 1 --timeout 300ms
expect_json stdout ".error | test(\"^timeout: .* in 300 ms through the proxy $at\")"
get http://password.example/ --proxy "$at"
expect_json stdout '.attempts == 1 and (.error | test("^status: 407: the proxy wants another user"))'
get http://once.example/ --proxy "$at"
expect_json stdout '.ok and .attempts == 2'

# A SOCKS proxy looks the host up, too.
for scheme in socks5 socks5h; do
	ALL_PROXY=$scheme://user:s3cret@$at get http://a.example/x
	expect_json stdout '.body | fromjson | .target == "a.example" and .user == "user"'
done
get http://deny.example/ --attempts 2 --proxy "socks5://$at"
expect_json stdout ".attempts == 1 and (.error | test(\"^proxy: $at: \"))"
get http://gone.example/ --attempts 2 --proxy "socks5://$at"
expect_json stdout ".attempts == 2 and (.error | test(\"^proxy: $at: \"))"
get http://a.example/ --attempts 2 --proxy "socks5://user:s3cret2@$at"
expect_json stdout ".attempts == 1 and (.error | test(\"^proxy: $at: .*rejected\"))"

get http://a.example/ --proxy socks4://user:s3cret@p:1080
expect_code 64
expect_err 'the proxy begins with socks4://;'
ALL_PROXY=socks4://user:s3cret@p:1080 get http://a.example/
expect_code 69
expect_err 'environment variables HTTP_PROXY .*socks4'

pipeline <<YAML
source: { range: 1-1 }
steps:
  - http: { url: 'http://a.example/\${.}', proxy: 'http://user:\${env:PASSWORD}@$at' }
sink: { jsonl: { path: out.jsonl } }
YAML
PASSWORD=s3cret run
expect_json out.jsonl '.user == "user:s3cret"'
PASSWORD=s3cret weir check pipeline.yaml --explain
expect test "$(grep -c s3cret stdout)" -eq 0
sed -i 's/\${env:PASSWORD}/s3cret/' pipeline.yaml
weir check pipeline.yaml --explain
expect_err 'secret in plain text'
expect test "$(grep -c s3cret stdout stderr | grep -vc ':0')" -eq 0
