# SPDX-License-Identifier: MIT
"""Workers of one run, a Redis server of their own, an upstream and a table.  For fleet.py."""
import json
import os
import shutil
import signal
import socket
import sqlite3
import subprocess
import tempfile
import time

from upstream import Upstream

PIPELINE = """name: fleet
source: {{ {source} }}
broker: {{ redis: {{ url: '${{env:REDIS_URL}}'{broker} }} }}
steps:
  - http: {{ url: '${{env:UPSTREAM}}/${{.}}', headers: {{ x-worker: '${{env:WORKER}}' }}, expect: json }}
flow: {{ {flow} }}
sink: {{ sqlite: {{ path: out.db, table: orders, key: id, columns: [id] }}, batch: {{ period: 20ms }} }}
"""
STREAMS = ("suspect", "returned", "fresh:0")


def wait_until(seconds, what, condition):
    """Its first value that is true; and how long that took, in seconds."""
    began = time.monotonic()
    while not (value := condition()):
        if time.monotonic() > began + seconds:
            raise RuntimeError(f"waited {seconds} s in vain: {what}")
        time.sleep(0.01)
    return value, time.monotonic() - began


class Redis:
    """As much of a client as it takes."""

    def __init__(self, path):
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(60)
        self.socket.connect(path)
        self.file = self.socket.makefile("rb")

    def __call__(self, *words):
        parts = [str(word).encode() for word in words]
        self.socket.sendall(b"*%d\r\n" % len(parts) + b"".join(b"$%d\r\n%s\r\n" % (len(part), part) for part in parts))
        return self.read()

    def read(self):
        line = self.file.readline()[:-2]
        kind, rest = line[:1], line[1:].decode()
        if kind == b"-":
            raise RuntimeError(rest)
        if kind == b"+":
            return rest
        if kind == b":":
            return int(rest)
        if int(rest) < 0:
            return None
        if kind == b"$":
            return self.file.read(int(rest) + 2)[:-2].decode()
        return [self.read() for _ in range(int(rest))]


class Worker:
    def __init__(self, fleet, number):
        self.name = f"w{number}"
        self.errors = fleet.path(self.name + ".stderr")
        with open(self.errors, "wb") as errors:
            self.process = subprocess.Popen(
                [fleet.weir, "work", "fleet.yaml", "--quiet"], cwd=fleet.folder, stderr=errors,
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, env=dict(fleet.environment, WORKER=self.name))

    def signal(self, number):
        self.process.send_signal(number)

    def is_running(self):
        return self.process.poll() is None

    def said(self):
        with open(self.errors, encoding="utf-8", errors="replace") as file:
            return file.read()[-300:].strip()


class Fleet:
    """To be used with `with`.  source, broker and flow: keys of the pipeline."""
    there = []  # those that are not closed

    def __init__(self, options, source, flow, broker="", **upstream):
        self.weir = options.weir
        self.folder = tempfile.mkdtemp(prefix="weir-fleet-")
        self.workers, self.children = [], []
        self.there.append(self)
        self.upstream = Upstream(**upstream)
        with open(self.path("redis.log"), "wb") as log:
            self.children.append(subprocess.Popen(
                ["redis-server", "--port", "0", "--unixsocket", self.path("redis.sock"), "--dir", self.folder, "--save",
                 ""], stdin=subprocess.DEVNULL, stdout=log, stderr=log))
        wait_until(10, "redis-server", lambda: os.path.exists(self.path("redis.sock")))
        self.redis = Redis(self.path("redis.sock"))
        self.environment = dict(os.environ, REDIS_URL="redis+unix://" + self.path("redis.sock"),
                                UPSTREAM=self.upstream.url, WORKER="")
        with open(self.path("fleet.yaml"), "w", encoding="utf-8") as file:
            file.write(PIPELINE.format(source=source, flow=flow, broker=broker and ", " + broker))
        with sqlite3.connect(self.path("out.db")) as table:
            table.execute("PRAGMA journal_mode = WAL")
            table.execute("CREATE TABLE orders (id INTEGER PRIMARY KEY,"
                          " done REAL DEFAULT ((julianday('now') - 2440587.5) * 86400.0))")
        table.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
        self.there.remove(self)

    def close(self):
        for process in [worker.process for worker in self.workers] + self.children:
            process.kill()
            process.wait()
        self.upstream.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def path(self, name):
        return os.path.join(self.folder, name)

    # What is done to it.

    def weir_does(self, *words):
        """Another call of weir: what it prints."""
        done = subprocess.run([self.weir, *words], cwd=self.folder, env=self.environment,
                              stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode:
            raise RuntimeError(f"weir {words[0]}: exit code {done.returncode}: {done.stderr.decode()}")
        return done.stdout.decode()

    def submit(self):
        self.weir_does("submit", "fleet.yaml", "--detach", "--quiet")

    def submit_stdin(self):
        """A submit of the lines that are written to its stdin."""
        child = subprocess.Popen([self.weir, "submit", "fleet.yaml", "--quiet"], cwd=self.folder, env=self.environment,
                                 stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self.children.append(child)
        return child

    def work(self, n=1):
        """Starts so many more workers; the last."""
        for _ in range(n):
            self.workers.append(Worker(self, len(self.workers)))
        return self.workers[-1]

    def worker(self, name):
        return next(worker for worker in self.workers if worker.name == name)

    def freeze(self, worker):
        """Stops it as a machine that hangs would, and says which items it has."""
        worker.signal(signal.SIGSTOP)
        time.sleep(0.02)
        return self.pending_of(worker)

    def end(self, seconds=120):
        """Waits for the workers to end; what is wrong with how they did."""
        wait_until(seconds, "for the workers to end", lambda: not any(worker.is_running() for worker in self.workers))
        return [f"{worker.name} ended with {worker.process.returncode}: {worker.said()}" for worker in self.workers
                if worker.process.returncode not in (0, 3, -signal.SIGKILL)]

    # How it stands.

    def status(self):
        return json.loads(self.weir_does("status", "fleet.yaml", "--json"))

    def dead_letters(self):
        return self.weir_does("dead", "ls", "fleet.yaml")

    def pending_of(self, worker):
        """The numbers of the items that are in its hands, each with the id of its entry."""
        pid, held = str(worker.process.pid), {}
        for stream in STREAMS:
            for entry, consumer, _, _ in self.redis("XPENDING", "weir:{fleet}:" + stream, "w", "-", "+", 100000):
                if consumer.split("/")[3] == pid:
                    held[int(entry.split("-")[1])] = entry
        return held

    def left(self):
        """Items that are not settled."""
        return sum(self.redis("XLEN", "weir:{fleet}:" + stream) for stream in STREAMS) + \
            self.redis("ZCARD", "weir:{fleet}:retries")

    def rows(self):
        """The ids in the table, and when they came."""
        table = sqlite3.connect(f"file:{self.path('out.db')}?mode=ro", uri=True, timeout=60)
        rows = dict(table.execute("SELECT id, done FROM orders"))
        table.close()
        return rows

    def judge(self, items, dead=0):
        """What is wrong at the end: each item is to have its row, but for the dead ones."""
        findings, rows, whole = self.end(), self.rows(), self.status()
        status = {name: whole[name] for name in ("state", "succeeded", "dead", "unfinished")}
        if len(rows) != items - dead:
            findings.append(f"{len(rows)} rows of {items} items, {dead} of them dead letters")
        if self.left():
            findings.append(f"{self.left()} items are left in Redis")
        if list(status.values()) != ["done", items - dead, dead, 0]:
            findings.append("weir status: " + json.dumps(status))
        return findings
