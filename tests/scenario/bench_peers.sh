# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# `weir bench --peers`: the same patterns by others, from the build folder and as installed; who is missing is said.
bench() {
	weir bench patterns --quick --jobs 150 --latency 5ms..50ms --no-recovery --peers --json "$@"
}

bench a.json --only queue --only semaphore
expect_code 0
expect_json a.json '[.rows[] | select(.by == "asyncio" or .by == "threads") | .pattern] ==
	["queue", "semaphore", "queue", "semaphore"]'
expect_json a.json 'all(.rows[]; .jobs == 150 and .succeeded + .failed == 150 and .failed == .errors_5xx)'
expect_json a.json 'all(.rows[]; .failed >= 1 and .failed < 25 and .per_sec < 1.1 * .bound_whole_per_sec)'
expect_json a.json 'all(.rows[]; .peak_bytes_above_idle > 0 and .cpu_seconds > 0 and .service_p50_s > 0.02)'
expect_json a.json 'all(.rows[]; .mean_bytes_above_idle > 0 and .mean_bytes_above_idle < 1.3 * .peak_bytes_above_idle)'
expect_json a.json 'all(.rows[] | select(.by != "weir"); (.note | startswith("with ")) and .published_per_sec == null)'
if command -v go >/dev/null; then
	expect_json a.json '[.rows[] | select(.by == "go") | .pattern] == ["queue", "semaphore"]'
fi

# No go, no aiohttp, no requests: the one is said, the others have a stand-in.
mkdir without bin
echo 'raise ImportError("none")' | tee without/aiohttp.py >without/requests.py
ln -s "$(command -v python3)" bin/python3
ln -s "$(command -v grep)" bin/grep
bench_without() {
	local PATH_BEFORE=$PATH
	PATH=$PWD/bin
	bench "$@"
	PATH=$PATH_BEFORE
}
export PYTHONPATH=$PWD/without
bench_without b.json --only queue --only chunked
unset PYTHONPATH
expect_code 0
expect_err 'go: Go is not installed'
expect_json b.json '[.rows[] | select(.by == "asyncio") | .note] | . != [] and all(.[]; test("aiohttp is missing"))'
expect_json b.json '[.rows[] | select(.by == "threads") | .note] | . != [] and all(.[]; test("requests is missing"))'
expect_json b.json 'all(.rows[]; .succeeded > 120)'

# As installed.
expect env DESTDIR="$PWD/root" meson install -C "$(dirname "$WEIR")" --no-rebuild --quiet
WEIR=$PWD/$(find root -type f -name weir -path '*/bin/*')
bench_without c.json --only queue
expect_code 0
expect_json c.json '[.rows[].by] | contains(["weir", "asyncio", "threads"])'

# A weir without them says so.
mkdir lone
cp "$(dirname "$WEIR")"/weir{,-bench} lone
WEIR=$PWD/lone/weir
bench_without d.json --only queue
expect_code 0
expect_err 'asyncio: its program is not installed with this weir'
expect_json d.json '[.rows[].by] == ["weir"]'

# So does one without weir-bench.
rm lone/weir-bench
weir bench patterns --quick
expect_code 69
expect_err '^weir bench: weir-bench is not beside weir: there is no /.*/lone/weir-bench$'
