# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# gzip and zstd: a run that is killed in the middle of a packed file leaves each row once; a cut or damaged file is an
# error with its place, and a whole copy is read on.
N=3000
write() {
	rm -rf state out.jsonl
	pipeline <<YAML
source: { jsonl: { path: $1 } }
broker: { sqlite: {} }
flow: { concurrency: 20 }
steps: [ http: { url: '\${env:MOCK_URL}/orders/\${.order_id}', expect: json }, jq: '{id}' ]
sink: { batch: { items: 16, period: 5ms }, jsonl: { path: out.jsonl } }
YAML
}
expect_all() {
	expect_code 0
	expect_lines $N out.jsonl
	jq .id out.jsonl | sort -n | expect diff ids -
}
mock --latency 5ms
orders $N
seq $N >ids
head -n 1000 orders.jsonl | gzip >orders.jsonl.gz
tail -n +1001 orders.jsonl | gzip -1 >>orders.jsonl.gz
cp orders.jsonl.gz packed # the name says nothing

write packed
for _ in 1 2 3; do
	start_run
	sleep "0.$((RANDOM % 20 + 15))"
	kill -KILL "$started_pid" 2>/dev/null || true
	wait "$started_pid" 2>/dev/null || true
done
run
expect_all

# Cut short: what was before the cut is processed, and the place is named.
write orders.jsonl.gz
cp orders.jsonl.gz whole
size=$(stat -c %s whole)
head -c $((size - 1000)) whole >orders.jsonl.gz
run
expect_code 74
expect_err "gzip data is truncated: it ends at byte $((size - 1000))"
expect test "$(wc -l <out.jsonl)" -ge 1000
cat whole >orders.jsonl.gz
run
expect_all
