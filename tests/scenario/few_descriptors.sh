# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# With 64 descriptors and 500 wanted at once: less concurrency, said once, and every row.  With too few for any run: exit
# code 69 and how many are needed, and no file is touched.
mock --latency 5ms
orders 300
pipeline_orders 'flow: { concurrency: 500 }'

with_descriptors() {
	rm -f summary.json
	start prlimit --nofile="$1:$1" "$WEIR" run pipeline.yaml --state state --summary summary.json
	finish
}

for few in 8 16 20 28; do
	with_descriptors $few
	expect_code 69
	expect_err "pipeline.yaml: a run needs at least [0-9]+ open files, but the limit \(ulimit -n\) is $few"
	expect test ! -e state -a ! -e out.db -a ! -e summary.json
done

# What it asks for is enough.
needed=$(grep -o 'at least [0-9]*' stderr | cut -d ' ' -f 3)
for enough in $needed 64; do
	rm -rf state out.db*
	with_descriptors "$enough"
	expect_code 0
	expect_rows 300
	expect_summary '.dead == 0'
	expect_err 'open files'
done

# Nor does another verb abort.
rm summary.json
for few in 8 9; do
	start prlimit --nofile=$few:$few "$WEIR" mock --listen 127.0.0.1:0
	finish
	expect_code 74
	expect_err 'no descriptor left'
done
