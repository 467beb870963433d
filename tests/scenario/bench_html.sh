# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# The page of `weir bench`, in a browser: all rows and charts are there, nothing is fetched, and it is not blank, by
# day and by night.
browser=$(command -v chromium-headless-shell || command -v chromium) || fail "no chromium; scripts/setup --for test"
weir bench patterns --virtual --jobs 20000 --html page.html
expect_code 0
weir bench patterns --virtual --jobs 500 --only queue --no-recovery --html -
expect_code 0
expect_out '</html>'

show() {
	timeout 50 "$browser" --headless --no-sandbox --disable-gpu --hide-scrollbars --no-first-run \
		--user-data-dir="$PWD/browser" --host-resolver-rules='MAP * ~NOTFOUND' "$@" "file://$PWD/page.html" 2>browser.log
}

show --dump-dom >dom.html || fail "the browser failed: $(tail -n 3 browser.log)"
for pattern in queue semaphore rate chunked naive auto; do
	expect grep -q "<td>$pattern</td>" dom.html
	expect grep -q ">$pattern</text>" dom.html
done
expect test "$(grep -o '<svg ' dom.html | wc -l)" -ge 8
expect test "$(grep -o 'class="area"' dom.html | wc -l)" = 6
# The bars of the chart are the bounds of the table, the tail included.
grep -o '<title>bound: [0-9.,]*' dom.html | cut -d' ' -f2 >bounds
expect test "$(wc -l <bounds)" = 6
while read -r bound; do
	expect grep -q "<td>$bound</td>" dom.html
done <bounds
expect test "$(grep -o 'class="said wrong"' dom.html | wc -l)" -ge 4
if grep -qiE '<script|src=|url\(|@import|https?://' page.html; then fail "the page refers to something else"; fi

# What the picture says: its size, and how many colours it has.
look_at() {
	python3 - "$1" <<'PY'
import struct, sys, zlib

data = open(sys.argv[1], "rb").read()
assert data[:8] == b"\x89PNG\r\n\x1a\n", "no PNG"
at, packed = 8, b""
while at < len(data):
    n, kind = struct.unpack(">I4s", data[at : at + 8])
    body = data[at + 8 : at + 8 + n]
    if kind == b"IHDR":
        width, height, depth, colour = struct.unpack(">IIBB", body[:10])
    elif kind == b"IDAT":
        packed += body
    at += 12 + n
assert (width, height, depth) == (1000, 1300, 8), (width, height, depth)
step = {2: 3, 6: 4}[colour]
raw, line, before = zlib.decompress(packed), width * step, bytearray(width * step)
rows, seen, first = [], {}, None
for y in range(height):
    kind, row = raw[y * (line + 1)], bytearray(raw[y * (line + 1) + 1 : (y + 1) * (line + 1)])
    for i in range(line):
        a = row[i - step] if i >= step else 0
        b, c = before[i], before[i - step] if i >= step else 0
        if kind == 1:
            row[i] = (row[i] + a) & 255
        elif kind == 2:
            row[i] = (row[i] + b) & 255
        elif kind == 3:
            row[i] = (row[i] + (a + b) // 2) & 255
        elif kind == 4:
            p = a + b - c
            pa, pb, pc = abs(p - a), abs(p - b), abs(p - c)
            row[i] = (row[i] + (a if pa <= pb and pa <= pc else b if pb <= pc else c)) & 255
    before = row
    if y % 4 == 0:
        for x in range(0, width, 2):
            colour_at = bytes(row[x * step : x * step + 3])
            seen[colour_at] = seen.get(colour_at, 0) + 1
ground = max(seen, key=seen.get)
share = 1 - seen[ground] / sum(seen.values())
print(sum(ground) // 3, len(seen), round(share, 3))
assert len(seen) > 50, "few colours"
assert 0.02 < share < 0.6, "blank, or full"
PY
}

show --window-size=1000,1300 --blink-settings=preferredColorScheme=1 --screenshot="$PWD/day.png" >/dev/null || true
show --window-size=1000,1300 --blink-settings=preferredColorScheme=0 --screenshot="$PWD/night.png" >/dev/null || true
day=$(look_at day.png) || fail "day.png: $day"
night=$(look_at night.png) || fail "night.png: $night"
[ "${day%% *}" -gt 200 ] || fail "the page is dark by day: $day"
[ "${night%% *}" -lt 60 ] || fail "the page is bright by night: $night"
