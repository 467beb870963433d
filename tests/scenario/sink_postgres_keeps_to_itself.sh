# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Of a connection nothing reaches others: no password, wherever it comes from, and in no program that weir starts its
# descriptor.
mock --latency 30ms
start_postgres
"$TREE/tests/support/postgres" tls postgres
rest=${PG_URL#*@}
port=$(cat postgres/port)
TLS="sslmode=verify-full&sslrootcert=$PWD/postgres/ca.pem"
HOME=$PWD
export HOME

# ---- passwords
openssl req -x509 -newkey rsa:2048 -days 2 -subj /CN=weir -passout pass:canary-key-secret -keyout key.pem -out cert.pem \
	2>/dev/null
chmod 600 key.pem
printf '%s' "postgres://weir:canary-pg-secret@$rest" >url.txt

# tried PLACE CODE URL: a run with a dead letter, and all that tells of it.
tried() {
	pipeline <<YAML
name: tried
source: { range: 1-3 }
steps: [ { jq: 'if . == 2 then error("row") else {id: .} end' } ]
sink: { postgres: { url: "$3", table: tried, key: id } }
YAML
	rm -rf state
	weir check --explain pipeline.yaml
	cat stdout stderr >>"told.$1"
	run
	cat stdout stderr >>"told.$1"
	expect_code "$2"
	{
		"$WEIR" status --json state || true
		"$WEIR" dead export state || true
		"$WEIR" state export state || true
	} >>"told.$1" 2>&1
	! grep -rqa 'canary' "told.$1" state || fail "$1: $(grep -rao '.\{0,80\}canary.\{0,40\}' "told.$1" state)"
}
tried parameters 3 "postgres://$rest?user=weir&password=canary-pg-secret"
tried file 3 "\${file:url.txt}"
tried wrong 78 "postgres://weir:canary-wrong-secret@$rest"
echo '*:*:*:weir:canary-pg-secret' >.pgpass
chmod 600 .pgpass
tried pgpass 3 "postgres://weir@$rest"
KEY="sslcert=$PWD/cert.pem&sslkey=$PWD/key.pem"
tried key 3 "postgres://weir@localhost:$port/weir?$TLS&$KEY&sslpassword=canary-key-secret"
tried key-wrong 78 "postgres://weir@localhost:$port/weir?$TLS&$KEY&sslpassword=canary-other-secret"

# ---- descriptors
cat >token.sh <<'SH'
readlink /proc/self/fd/* /proc/$$/fd/* >>token.fds
echo token
SH
pipeline <<'YAML'
source: { postgres: { url: '${env:PG_URL}', table: orders, key: id } }
steps:
  - http: { url: '${env:MOCK_URL}/orders/${.id}', expect: json, auth: { exec: [sh, token.sh], ttl: 1s } }
  - jq: { program: '{id}', workers: 2 }
sink: { postgres: { url: '${env:PG_URL}', table: done } }
flow: { concurrency: 5 }
YAML
postgres sql 'CREATE TABLE orders AS SELECT generate_series(1, 500) AS id'
rm -rf state
start_run
wait_until 20 status_says '.written > 20'
# The sockets of the process PID that lead to the server.
links() {
	readlink "/proc/$1"/fd/* | grep socket: | sort >sockets
	awk -v port=":$(printf '%04X' "$port")" '$3 ~ port "$" { print "socket:[" $10 "]" }' "/proc/$1/net/tcp" | sort >server
	comm -12 sockets server
}
[ "$(links "$started_pid" | wc -l)" = 2 ] || fail "the run has $(links "$started_pid" | wc -l) connections, not 2"
links "$started_pid" >connections
children=$(pgrep -P "$started_pid" -x weir-jq)
[ "$(echo "$children" | wc -l)" = 2 ] || fail "there are no children"
for child in $children; do
	[ "$(readlink "/proc/$child"/fd/* | grep -Fxc -f connections)" = 0 ] || fail "weir-jq has a connection"
done
finish
expect_code 0
expect test -s token.fds
! grep -Fx -f connections token.fds || fail "the program of auth.exec has a connection"
