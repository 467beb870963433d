# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# From a stream into a stream, each item two entries: the run is killed three times, and the server once; in the end each
# entry is there exactly once, without a key.
N=300
start_redis --appendonly yes --appendfsync always
seq $N | sed 's/.*/XADD in * i &/' | redis >/dev/null
pipeline <<'YAML'
source: { redis_stream: { url: '${env:REDIS_URL}', stream: in, group: g, batch: 50, claim_idle: 1s } }
steps: [ jq: '{i, part: (1, 2)}' ]
sink: { batch: { items: 16, period: 2ms }, redis_stream: { url: '${env:REDIS_URL}', stream: out } }
YAML
for i in 1 2 3; do
	start_run
	sleep "0.0$((RANDOM % 9 + 1))"
	if [ $((i % 2)) = 0 ]; then
		redis_kill
		start_redis --appendonly yes --appendfsync always
		sleep "0.0$((RANDOM % 9 + 1))"
	fi
	kill -KILL "$started_pid" 2>/dev/null || true
	wait "$started_pid" 2>/dev/null || true
done
run
expect_code 0
expect_summary ".read == $N and .succeeded == $N"
redis XRANGE out - + | paste - - - - - | sort -k 3,3n -k 5,5n >entries
expect_lines $((2 * N)) entries
[ "$(cut -f 3,5 entries | sort -u | wc -l)" = $((2 * N)) ] || fail "entries of out are doubled"
expect test "$(redis XPENDING in g | head -n 1)" = 0
expect test "$(redis XINFO CONSUMERS in g | wc -c)" -le 1 # none is left behind
