# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# weir as a service: it tells systemd when it is ready and when it stops; contrib/fleet is what systemd, Docker and
# Compose understand, and the image has the libraries that weir needs.
cat >listen.py <<'PY'
import socket, sys
listener = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
listener.bind(sys.argv[1].replace('@', '\0'))
while True:
    print(listener.recv(4096).decode(), flush=True)
PY
mock --latency 10s
pipeline <<'YAML'
source: { range: 1-10 }
steps: [ { http: '${env:MOCK_URL}/orders/${.}' } ]
sink: { jsonl: { path: out.jsonl, on_start: replace } }
shutdown: { drain: 0s }
YAML
for socket in "$PWD/notify.sock" "@weir-$$-$(date +%N)"; do
	python3 listen.py "$socket" >told &
	pids+=("$!")
	wait_until 10 grep -qF "$socket" /proc/net/unix
	start env NOTIFY_SOCKET="$socket" "$WEIR" run --state state --quiet pipeline.yaml
	wait_until 10 grep -q . told
	expect test "$(cat told)" = READY=1
	kill -TERM "$started_pid"
	finish
	expect_code 5
	wait_until 10 grep -q STOPPING told
	expect test "$(cat told)" = "$(printf 'READY=1\nSTOPPING=1')"
	rm -rf state
done
# Nobody to tell.
for socket in "$PWD/nobody.sock" nonsense "$(printf '/%0200d' 0)"; do
	start env NOTIFY_SOCKET="$socket" "$WEIR" run --state state --quiet pipeline.yaml
	kill -TERM "$started_pid"
	CODE=0
	wait "$started_pid" || CODE=$?
	no_crash
done

contrib=$TREE/contrib/fleet
expect python3 - "$contrib/compose.yaml" <<'PY'
import sys, yaml
services = yaml.safe_load(open(sys.argv[1]))["services"]
assert services["work"]["image"] == services["submit"]["image"] and services["work"]["command"][0] == "work"
PY
if command -v systemd-analyze >/dev/null; then
	sed "s,/usr/local/bin/weir,$WEIR," "$contrib/weir-work@.service" >weir-work@orders.service
	systemd-analyze verify --man=no "$PWD/weir-work@orders.service" >verified 2>&1 || fail "$(cat verified)"
	expect test ! -s verified
fi
if command -v dpkg >/dev/null; then
	objdump -p "$WEIR" "${WEIR%/*}/weir-jq" | awk -v path="/$(uname -m)-linux-gnu/" '$1 == "NEEDED" { print path $2 }' >needed
	grep -lFf needed /var/lib/dpkg/info/*:"$(dpkg --print-architecture)".list | sed 's,.*/,,; s,:.*,,' |
		grep -v -- -dev >packages
	expect test "$(wc -l <packages)" -gt 10
	while read -r package; do
		[ "$package" = libc6 ] || expect grep -qw -- "$package" "$contrib/Dockerfile"
	done <packages
fi
