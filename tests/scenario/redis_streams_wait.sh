# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A Redis that reads its dataset when a run begins: the source and the sink wait for it, and say so once; a signal ends
# the wait.  One that is not there is not waited for.
start_redis --enable-debug-command yes --rdbcompression no
seq 5 | sed 's/.*/XADD in * i &/' | redis >/dev/null
redis_leave
cat >read.yaml <<YAML
source: { redis_stream: { url: '$REDIS_URL', stream: in, group: g } }
sink: { jsonl: { path: read.jsonl } }
YAML
cat >write.yaml <<YAML
source: { range: 1-5 }
steps: [ jq: '{i: .}' ]
sink: { redis_stream: { url: '$REDIS_URL', stream: out } }
YAML
sed 's/group: g/group: never/; s/read.jsonl/stopped.jsonl/' read.yaml >stopped.yaml
for one in read write; do
	weir run "$one.yaml" --progress plain
	expect_code 69
	expect_err 'cannot connect to Redis'
done

redis_loads
for one in read write stopped; do
	"$WEIR" run "$one.yaml" --progress plain >"$one.out" 2>&1 </dev/null &
	declare "$one=$!"
	pids+=("$!")
done
wait_until 10 grep -q 'source: Redis at .*LOADING.*; trying again until it works' stopped.out
kill -TERM "$stopped"
work_ends "$stopped" 5
wait_until 10 grep -q 'source: Redis at .*LOADING.*; trying again until it works' read.out
wait_until 10 grep -q 'sink: Redis at .*LOADING.*; trying again until it works' write.out
redis_has_loaded
work_ends "$read" 0
work_ends "$write" 0
for one in read write; do
	expect test "$(grep -c 'trying again until it works' "$one.out")" = 1
	expect grep -q ': works again' "$one.out"
done
expect_lines 5 read.jsonl
expect test "$(redis XLEN out)" = 5
