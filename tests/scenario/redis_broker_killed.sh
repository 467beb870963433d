# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A run with its queue in Redis is killed in the middle: the next one resumes at once, each row is there once, the
# accounts match, and the dead letters are listed.
start_redis
pipeline <<'YAML'
name: killed
source: { range: 1..2000 }
broker: { redis: '${env:REDIS_URL}' }
steps:
  - jq: 'if . % 100 == 7 then error("no such order") else {id: ., v: 1} end'
sink: { sqlite: { path: out.db, table: rows, key: id }, batch: { items: 16, period: 2ms } }
flow: { concurrency: 4, rate: 700/s }
YAML
has_rows() {
	[ "$(sqlite3 out.db 'SELECT count(*) FROM rows' 2>/dev/null || echo 0)" -ge "$1" ]
}
for rows in 100 400; do
	start_run
	wait_until 20 has_rows "$rows"
	kill_run
done
run
expect_code 3
expect_sql 'SELECT count(*), count(DISTINCT id), min(id), max(id) FROM rows' '1980|1980|1|2000'
expect_summary '.read == 2000 and .succeeded == 1980 and .dead == 20 and .unfinished == 0 and .resumed'
run
expect_code 0
expect_summary '.read == 2000 and .succeeded == 1980'
expect test "$(redis HLEN 'weir:{killed}:letters')" = 20
# Nobody is left at the queue, and nothing in it.
expect test "$(redis EXISTS 'weir:{killed}:alive' 'weir:{killed}:retries' 'weir:{killed}:kept')" = 0
expect test "$(redis XLEN 'weir:{killed}:fresh:0')" = 0
