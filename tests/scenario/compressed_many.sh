# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# 10,000 bodies that come with brotli, gzip, zstd, deflate and as they are: each is exact.  A gigabyte that comes as a
# megabyte ends at the limit, which is said, and takes no more memory than the limit.
cat >bodies.py <<'PY'
"""What URL N has for a body, and how it is compressed: for the server, and for who compares."""
import ctypes, hashlib, zlib

brotli, zstd = ctypes.CDLL("libbrotlienc.so.1"), ctypes.CDLL("libzstd.so.1")
zstd.ZSTD_compress.restype = zstd.ZSTD_compressBound.restype = ctypes.c_size_t
ENCODINGS = ("br", "gzip", "zstd", "deflate", "")

def body(n):
    return (hashlib.shake_128(str(n).encode()).hexdigest(n * 7919 % 1500 + (n % 500 == 0) * 100000) + "ü\n").encode()

def in_zlib(form, text):
    packer = zlib.compressobj(6, zlib.DEFLATED, form)
    return packer.compress(text) + packer.flush()

def in_brotli(text):
    size = ctypes.c_size_t(len(text) + 1000)
    out = ctypes.create_string_buffer(size.value)
    assert brotli.BrotliEncoderCompress(4, 22, 0, ctypes.c_size_t(len(text)), text, ctypes.byref(size), out)
    return out.raw[:size.value]

def in_zstd(text):
    out = ctypes.create_string_buffer(len(text) + 1000)
    size = zstd.ZSTD_compress(out, ctypes.c_size_t(len(out)), text, ctypes.c_size_t(len(text)), 3)
    assert size <= len(out)
    return out.raw[:size]

def pack(encoding, text):
    return {"br": in_brotli, "zstd": in_zstd, "gzip": lambda text: in_zlib(31, text),
            "deflate": lambda text: in_zlib(15, text), "": bytes}[encoding](text)

def bomb(encoding):
    """1 GiB of zeros, of which each MiB is the same few bytes; of brotli, which has no such seams, 64 MiB."""
    zeros = bytes(1 << 20)
    if encoding == "br":
        return in_brotli(zeros * 64)
    if encoding == "zstd":
        return in_zstd(zeros) * 1024
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    piece = packer.compress(zeros) + packer.flush(zlib.Z_FULL_FLUSH)
    head = bytes([0x1F, 0x8B, 8, 0, 0, 0, 0, 0, 0, 3]) if encoding == "gzip" else bytes([0x78, 0xDA])
    return head + piece * 1024 + packer.flush()
PY
cat >server.py <<'PY'
import asyncio, os
from bodies import ENCODINGS, body, bomb, pack

bombs = {encoding: bomb(encoding) for encoding in ENCODINGS if encoding}

class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.rest = transport, b""

    def data_received(self, data):
        *requests, self.rest = (self.rest + data).split(b"\r\n\r\n")
        for request in requests:
            self.answer(request.split(b" ")[1].decode().split("/"))

    def answer(self, path):
        if path[1] == "bomb":
            encoding, packed = path[2], bombs[path[2]]
        else:
            encoding = ENCODINGS[int(path[1]) % 5]
            packed = pack(encoding, body(int(path[1])))
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(packed)}\r\n"
        head += f"Content-Encoding: {encoding}\r\n" if encoding else ""
        self.transport.write(head.encode() + b"\r\n" + packed)

async def main():
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0, backlog=500)
    with open("port.new", "w") as port:
        port.write(str(server.sockets[0].getsockname()[1]))
    os.rename("port.new", "port")
    await server.serve_forever()

asyncio.run(main())
PY
cat >compare.py <<'PY'
import json
from bodies import body

seen = set()
for line in open("out.jsonl", encoding="utf-8"):
    record = json.loads(line)
    n = int(record["url"].rsplit("/", 1)[1])
    assert record["ok"] and n not in seen, record["url"]
    assert record["body"].encode() == body(n) and record["bytes"] == len(body(n)), record["url"]
    seen.add(n)
assert len(seen) == 10000, len(seen)
PY
python3 server.py &
pids+=($!)
wait_until 20 test -s port
url=http://127.0.0.1:$(cat port)

weir get --range 1-10000 "$url/{}" -o out.jsonl --allow-private --concurrency 50 --quiet
expect_code 0
expect python3 compare.py

# Ten at a time of each; none is tried again.
peak_of() {
	jq .peak_rss_bytes summary.json
}
for encoding in gzip deflate br zstd; do
	printf "$url/bomb/$encoding/%d\n" {1..10}
done >urls
weir get -i urls --allow-private --concurrency 10 --quiet --summary summary.json
expect_code 3
expect_lines 40 stdout
expect_json stdout 'all(.[]; .attempts == 1 and .body == null)'
expect_json stdout 'all(.[]; .error | test("^too large: body over 10 MiB \\(--max-body\\), decoded from [0-9]+ bytes of (gzip|deflate|br|zstd)$"))'
expect_json stdout '[.[].error | match("from ([0-9]+) bytes of gzip").captures[0].string | tonumber] | all(. > 1000000 and . < 1100000)'
[ "$(peak_of)" -lt $((128 << 20)) ] || fail "bombs took $(peak_of) bytes of memory"
