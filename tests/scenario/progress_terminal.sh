# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# On a terminal progress is one line of at most 80 columns, redrawn in place; control bytes from outside never reach it.
mock --latency 50ms --fault /orders/7=html
orders 69
pipeline_orders 'flow: { concurrency: 2 }'
script -qec "stty cols 80 rows 24; '$WEIR' run pipeline.yaml --state state" typescript >/dev/null 2>&1 </dev/null || true
expect_rows 68
# What a terminal of 80 columns would show of each redraw: without colours, cut at each carriage return.
sed 's/\x1b\[[0-9;?]*[A-Za-z]//g' typescript | tr '\r' '\n' | grep -v '^Script ' >shown
expect test "$(wc -l <shown)" -ge 3
widest=$(wc -L <shown)
[ "$widest" -le 80 ] || fail "a line of $widest columns: $(awk 'length > 80' shown | head -n 1)"
expect grep -qE '68|69' shown
