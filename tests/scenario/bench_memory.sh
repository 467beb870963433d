# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The pattern for 128 MB machines: 100,000 jobs, 100 at a time, with no more address space than that.
CODE=0
(
	ulimit -v 131072
	exec "$WEIR" bench patterns --virtual --only chunked --jobs 100000 --no-recovery --json a.json >stdout 2>stderr
) || CODE=$?
no_crash
expect_code 0
expect_json a.json '.rows[0] | .jobs == 100000 and .most_in_flight == 100 and .note == null'
expect_json a.json '.rows[0] | .idle_bytes + .peak_bytes_above_idle < 32000000'

# That the limit holds: a fiber for each job does not fit.
CODE=0
(
	ulimit -v 131072
	exec "$WEIR" bench patterns --virtual --only semaphore --jobs 100000 --no-recovery >stdout 2>stderr
) || CODE=$?
no_crash
[ "$CODE" != 0 ] || fail "100,000 fibers ran in 128 MB"
expect_out '^semaphore: .*(memory|died)'
