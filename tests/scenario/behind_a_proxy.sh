# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The orders pipeline behind a corporate proxy: tinyproxy makes a tunnel to nginx, whose certificate is of an authority of
# the test's.  Every order becomes a row, and the proxy sees nothing but the tunnels.  What it refuses, or what breaks
# behind it, has a reason that says what to do.
. "$TREE/tests/support/servers.sh"
unset http_proxy https_proxy all_proxy no_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY NO_PROXY SSL_CERT_FILE
authority
certificate orders DNS:orders.example
certificate expired DNS:expired.example -1
names orders.example other.example expired.example cut.example mute.example denied.example
mock --latency 1ms
nginx_start <<CONF
server {
	listen $HERE:8443 ssl;
	ssl_certificate orders.pem;
	ssl_certificate_key orders.key;
	location / { proxy_pass http://mock; }
}
server {
	listen $HERE:8444 ssl;
	ssl_certificate expired.pem;
	ssl_certificate_key expired.key;
}
CONF
printf '%s\n' '^orders\.example$' '^other\.example$' '^expired\.example$' '^cut\.example$' '^mute\.example$' '^gone\.' >hosts
tinyproxy_start 3128 FilterDefaultDeny\ Yes "Filter \"$PWD/hosts\"" FilterExtended\ Yes
tinyproxy_start 3129 'BasicAuth user s3cret'

# One accepts and closes in the middle of the handshake, the other says nothing.
cat >silent.py <<'PY'
import os, socket, sys, threading

def serve(port, closes):
    listener = socket.create_server((os.environ["HERE"], port))
    kept = []
    while True:
        connection = listener.accept()[0]
        connection.recv(1)
        kept.append(connection)
        if closes:
            kept.pop().close()

threading.Thread(target=serve, args=(8445, True)).start()
threading.Thread(target=serve, args=(8446, False)).start()
PY
python3 silent.py &
pids+=($!)
wait_until 10 answers 8445
wait_until 10 answers 8446

# orders_run KEYS [ENVIRONMENT ...]: the pipeline over 300 orders.
orders_run() {
	rm -rf state out.db
	HTTP=$1 pipeline_orders 'flow: { concurrency: 20 }'
	env MOCK_URL=https://orders.example:8443 "${@:2}" "$WEIR" "${RUN[@]}" >stdout 2>stderr </dev/null || fail "exit code $?"
	expect_rows 300
	expect_oracle --key order_id=id
}

orders 300
orders_run "proxy: '$HERE:3128', tls: { ca: ca.pem }"
orders_run '' HTTPS_PROXY="http://$HERE:3128" SSL_CERT_FILE=ca.pem NO_PROXY=example.org
PASSWORD=s3cret orders_run "proxy: 'http://user:\${env:PASSWORD}@$HERE:3129', tls: { ca: ca.pem }, http: auto"
expect test "$(grep -c s3cret stdout stderr summary.json | grep -vc ':0')" -eq 0
for port in 3128 3129; do
	grep -o 'Request .*' "proxy-$port.log" | sed 's/.*): //' | sort | uniq -c >asked
	expect test "$(wc -l <asked)" -eq 1
	expect grep -qE '^ +[0-9]+ CONNECT orders.example:8443 HTTP/1.1$' asked
done

# refuses HOST:PORT ATTEMPTS REASON [OPTION ...]
refuses() {
	echo "https://$1/" >urls
	weir get -i urls --quiet --ca ca.pem --proxy "$HERE:3128" --attempts 2 "${@:4}"
	expect_code 3
	expect_json stdout ".attempts == $2 and (.error | test(\"$3\"))"
}
proxy=$HERE:3128
refuses denied.example:8443 1 "^proxy: $proxy does not connect to denied.example:8443 \\\\(403\\\\)\$"
refuses gone.invalid:8443 2 "^proxy: $proxy cannot reach gone.invalid:8443 \\\\(50[0-9]\\\\)\$"
refuses orders.example:1 2 "^proxy: $proxy cannot reach orders.example:1 \\\\(50[0-9]\\\\)\$"
refuses orders.example:8443 1 "^proxy: $HERE:3129 wants a password \\\\(407\\\\); set proxy: http://user:password@host:port\$" \
	--proxy "$HERE:3129"
refuses orders.example:8443 1 "^proxy: $HERE:3129 does not accept the user and password" --proxy "user:wrong@$HERE:3129"
refuses orders.example:8443 2 "^connect: proxy $HERE:3130: refused\$" --proxy "$HERE:3130"
refuses cut.example:8445 2 "^(tls|reset): .*\\\\(through the proxy $proxy\\\\)\$"
refuses mute.example:8446 2 "^timeout: .* in 300 ms through the proxy $proxy" --timeout 300ms
refuses other.example:8443 1 "^tls: .*other.example.*; tls.server_name is the name to expect instead"
refuses expired.example:8444 1 '^tls: .*certificate has expired; its owner has to renew it, or the clock here is wrong'
refuses orders.example:8443 1 '^tls: .*; tls.ca, or --ca of weir get, names the authority to trust$' --ca expired.pem

# Not for the hosts in NO_PROXY: nobody but the proxy knows them.
echo https://orders.example:8443/ >urls
HTTPS_PROXY=http://$HERE:3128 NO_PROXY=.example weir get -i urls --quiet --ca ca.pem --attempts 1
expect_json stdout '.error | test("^dns: ")'
HTTPS_PROXY=http://$HERE:3128 weir get -i urls --quiet --ca ca.pem --attempts 1
expect_json stdout '.status == 200 or .status == 404'

# A file that only looks like certificates is said before anything is sent.
printf -- '-----BEGIN CERTIFICATE-----\nbm90aGluZw==\n-----END CERTIFICATE-----\n' >broken.pem
weir get -i urls --quiet --ca broken.pem
expect_code 69
expect_err 'broken.pem contains no PEM certificate'
