# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A state on a disk that cannot be written can be looked at, by several concurrently, and stays as it is.
orders 20
pipeline <<'YAML'
source: { jsonl: { path: orders.jsonl } }
steps: [ { jq: 'if .order_id > 15 then error("too large") else . end' } ]
stop_when: { dead: 0% }
sink: { jsonl: { path: out.jsonl } }
YAML
run
expect_code 3

# Without the right to mount, and as root, there is no such disk here.
cat >look.sh <<'SH'
mount --bind state state && mount -o remount,bind,ro state || exit 99
exec "$@"
SH
look=(unshare --user --map-root-user --mount sh look.sh)
if ! "${look[@]}" true 2>/dev/null; then
	[ "$(id -u)" != 0 ] || exit 0
	chmod 0400 state/*
	chmod 0500 state
	look=()
fi
in_look() {
	CODE=0
	"${look[@]}" "$WEIR" "$@" >stdout 2>stderr || CODE=$?
	no_crash
}

before=$(cat state/state.db state/lock | cksum)
in_look state verify state
expect_code 0
expect_out '^  dead +5$'
in_look dead ls state
expect_code 0
expect_out 'too large'
in_look dead export state
expect_lines 5 stdout
in_look state export state
expect_code 0

# One that looks does not keep out another.
exec 8<state/lock
flock --shared 8
in_look dead ls state
expect_code 0
exec 8<&-

in_look dead purge state --all
expect_code 74
expect_err 'state/lock: (Read-only file system|Permission denied)'
[ "$(cat state/state.db state/lock | cksum)" = "$before" ] || fail "the state has changed"
