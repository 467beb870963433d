# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# A file as the sink of several processes is at least once: they write it together, a line each.  Whoever was killed and
# starts again adds to it.
start_redis
mock --latency 20ms
orders 600
fleet_orders 'flow: { concurrency: 40, rate: 400/s, burst: 10 }'
sed -i 's/^sink:.*/sink: { csv: { path: out.csv, columns: [id, total] } }/' pipeline.yaml
echo 'dead_letter: { jsonl: { path: dead.jsonl } }' >>pipeline.yaml
has_lines() {
	[ "$(wc -l <"$1")" -gt "$2" ]
}
# What a run finds when it begins is still refused.
echo 'of another program' >out.csv
run
expect_code 78
expect_err 'out.csv exists .* and was not written by this run'
rm out.csv
start_run
wait_until 20 has_lines out.csv 60
kill_run
fleet_work one
one=$work_pid
fleet_work two
wait_until 20 has_lines out.csv 200
kill -KILL "$work_pid"
wait "$work_pid" 2>/dev/null || true
printf '17,' >>out.csv # half a line, as if it had been killed a moment earlier
run
expect_code 0
work_ends "$one" 0
expect test "$(head -n 1 out.csv)" = id,total
expect test "$(grep -c '^id,total$' out.csv)" = 1
expect test "$(grep -cE '^[0-9]+,[0-9.]+$' out.csv)" -ge 600
expect test "$(grep -E '^[0-9]+,[0-9.]+$' out.csv | cut -d , -f 1 | sort -u | wc -l)" = 600
expect test "$(grep -cvE '^[0-9]+,[0-9.]+$' out.csv)" = 2
# Half a member would spoil all behind it.
sed -i 's/out.csv/out.csv.gz/; 1i name: packed' pipeline.yaml
run
expect_code 78
expect_err 'out.csv.gz is compressed, and with this broker several processes may write it'
