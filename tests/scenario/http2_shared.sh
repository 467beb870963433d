# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# HTTP/2 with nginx: many requests share a connection, up to what the server takes, and the orders pipeline loses none when
# nginx closes connections after some requests.  One request that is given up leaves its neighbours alone.
. "$TREE/tests/support/servers.sh"
authority
certificate orders "IP:$HERE"
mock --latency 20ms
cat >slow.py <<'PY'
import os, socket, threading, time

def serve(connection):
    connection.recv(65536)
    time.sleep(30)

listener = socket.create_server((os.environ["HERE"], 8000))
while True:
    threading.Thread(target=serve, args=(listener.accept()[0],), daemon=True).start()
PY
python3 slow.py &
pids+=($!)
wait_until 10 answers 8000
nginx_start <<CONF
ssl_certificate orders.pem;
ssl_certificate_key orders.key;
server {
	listen $HERE:8443 ssl http2;
	keepalive_requests 300;
	location / { proxy_pass http://mock; }
	location /slow/ { proxy_pass http://$HERE:8000; }
}
server {
	listen $HERE:8444 ssl http2;
	http2_max_concurrent_streams 5;
	location / { proxy_pass http://mock; }
}
server {
	listen $HERE:8445 ssl;
	location / { proxy_pass http://mock; }
}
CONF

# orders_run PORT N VERSION CONCURRENCY: access.log is of this run.
orders_run() {
	orders "$2"
	rm -rf state out.db
	: >access.log
	HTTP="tls: { ca: ca.pem }, http: $3" pipeline_orders "flow: { concurrency: $4, retry: { backoff: 1ms..10ms } }"
	MOCK_URL=https://$HERE:$1 run
	expect_code 0
	expect_rows "$2"
	expect_oracle --key order_id=id
	wait_until 10 eval "[ \$(grep -c ' 200 ' access.log) -ge $2 ]"
}

orders_run 8443 1500 auto 100
expect test "$(connections_of HTTP/1.1)" -eq 0
shared=$(connections_of HTTP/2.0)
expect test "$shared" -ge 5 -a "$shared" -le 12
orders_run 8444 300 2 30
expect test "$(connections_of HTTP/2.0)" -ge 6
for row in '8443 1.1' '8445 auto'; do
	read -r port version <<<"$row"
	orders_run "$port" 100 "$version" 20
	expect test "$(connections_of HTTP/2.0)" -eq 0
	expect test "$(connections_of HTTP/1.1)" -gt 1
done

# Ten that get no answer, on the one connection with the others.
seq 110 | sed 's/.*/{"path": "orders"}/; 1~11s/orders/slow/' >items
: >access.log
rm -rf state
pipeline <<YAML
source: { jsonl: { path: items } }
steps:
  - http: { url: 'https://$HERE:8443/\${.path}/1', tls: { ca: ca.pem }, http: auto, timeout: 1s }
flow: { concurrency: 20, retry: { attempts: 1 } }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl, on_start: replace } }
YAML
run
expect_lines 100 out.jsonl
expect_dead 10 '^timeout: no (first byte|complete answer) in 1 s'
wait_until 10 eval "[ \$(grep -c ' 200 ' access.log) = 100 ]"
expect test "$(connections_of HTTP/2.0)" -eq 1
