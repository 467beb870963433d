# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Several files by a pattern: a run that is killed among them leaves each row once; new files are read by the next run,
# and a known file that is changed or gone is refused by name.
write() {
	pipeline <<YAML
source: { jsonl: { path: "dump/*.jsonl$1" } }
broker: { sqlite: {} }
flow: { concurrency: 20 }
steps: [ http: { url: '\${env:MOCK_URL}/orders/\${.order_id}', expect: json }, jq: '{id}' ]
sink: { batch: { items: 16, period: 5ms }, jsonl: { path: out.jsonl } }
YAML
}
write ''
run
expect_refused pipeline.yaml:1:26 'cannot open the folder .*dump'
mkdir dump
run
expect_refused pipeline.yaml:1:26 'no file matches'

mock --latency 5ms
orders 3000
split -l 1000 --additional-suffix=.jsonl orders.jsonl dump/
gzip dump/ab.jsonl
mv dump/ab.jsonl.gz dump/ab.jsonl # packed, whatever its name says
for _ in 1 2 3; do
	start_run
	sleep "0.$((RANDOM % 20 + 15))"
	kill -KILL "$started_pid" 2>/dev/null || true
	wait "$started_pid" 2>/dev/null || true
done
run
expect_code 0
expect_lines 3000 out.jsonl
seq 3000 >ids
jq .id out.jsonl | sort -n | expect diff ids -

# A line that is none: named by its file.
write '*'
mkdir -p other
echo '{"order_id": 1}' >other/1.jsonl
printf '{"order_id": 2}\n]\n' >other/2.jsonl
sed -i 's,dump/,other/,; /steps/d' pipeline.yaml
rm -rf state out.jsonl
run
expect_code 3
weir dead ls state
expect_out '2.jsonl:2: not JSON'

# Gone, or changed behind the reader.
write ''
rm -rf state out.jsonl
stop_once '.succeeded >= 5'
expect_code 5
rm dump/aa.jsonl
run
expect_code 78
expect_err 'aa.jsonl is missing from'
