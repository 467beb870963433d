# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir bench --virtual`: hours of the articles' patterns in seconds, the same for the same seed, and within the bound.
weir bench patterns --virtual --jobs 20000 --json a.json --csv a.csv
expect_code 0
expect_out '^queue: impossible under any distribution'
expect_out '^semaphore: impossible in the stated range'
expect_out '^naive: consistent'
expect_out '^all: failed attempts: status 5xx '
expect_out 'on the virtual clock, in'
expect_json a.json '[.rows[].pattern] == ["queue", "semaphore", "rate", "chunked", "naive", "auto"]'
expect_json a.json 'all(.rows[]; .jobs == 20000 and .jobs == .succeeded + .failed and .failed == .errors_5xx)'
expect_json a.json 'all(.rows[]; .failed > 900 and .failed < 1100)'
expect_json a.json 'all(.rows[] | select(.pattern != "auto"); .per_sec / .bound_whole_per_sec | . > 0.99 and . < 1.01)'
expect_json a.json '[.rows[].most_in_flight][0:2] == [50, 100]'
expect_json a.json 'all(.rows[]; .service_p50_s > 1.4 and .service_p50_s < 1.6 and .response_p50_s >= .service_p50_s)'
expect_json a.json 'all(.rows[]; .recovery_jobs_hit > 0 and .recovery_fault_s >= 9)'
# Before the fiber is made, or within it: that is the difference of 50 stacks and 20,000.
expect_json a.json '.rows[1].peak_bytes_above_idle > 20 * .rows[0].peak_bytes_above_idle'
expect test "$(wc -l <a.csv)" = 7

weir bench patterns --virtual --jobs 20000 --only queue --only auto --no-recovery --json b.json
expect_code 0
expect test "$(jq '.rows[0].took_s' a.json)" = "$(jq '.rows[0].took_s' b.json)"
expect_json b.json '(.rows | length) == 2 and .rows[0].recovery_fault_s == null'
weir bench patterns --virtual --jobs 20000 --only queue --no-recovery --seed 2 --json c.json
expect test "$(jq '.rows[0].took_s' a.json)" != "$(jq '.rows[0].took_s' c.json)"

# The calibration row: 100,000 sleeps, 500 at once.
weir bench backpressure --virtual --json d.json
expect_code 0
expect_out '1.002 is allowed: met'
expect_json d.json 'all(.rows[]; .took_s <= 1.002 * .bound_seconds and .most_in_flight == 500 and .jobs == 100000)'
expect_json d.json '.rows[1].peak_bytes_above_idle > 50 * .rows[3].peak_bytes_above_idle'
weir bench backpressure --virtual --latency 100ms..110ms --jobs 5000 --only at-end
expect_code 0
expect_out '^at-end +21.1 s'

# What is no use is said.
weir bench
expect_code 64
weir bench orders --virtual
expect_code 64
expect_err 'no --virtual'
weir bench patterns --url postgres://127.0.0.1/x
expect_code 64
expect_err '--url belongs to orders'
weir bench patterns --only nothing
expect_code 64
expect_err "unknown row 'nothing'; expected one of queue semaphore"
weir bench patterns --virtual --urls a.csv
expect_code 64
weir bench patterns --jobs 0
expect_code 64
weir bench patterns --virtual --jobs 100 --only rate --no-recovery --json missing/x.json
expect_code 74
expect_err 'cannot write .*missing/x.json'
weir bench --help
expect_code 0
expect_out '--no-recovery'
