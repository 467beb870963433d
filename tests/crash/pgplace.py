# SPDX-License-Identifier: MIT
"""Where runs into PostgreSQL are killed: a server, what stands before it, and what is done there.  For pgcrash.py."""
import atexit
import dataclasses
import os
import shutil
import subprocess
import tempfile
import time
import urllib.parse

from runs import oracle

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))

# An item that dies is text where the table has numbers: it is found by halves, in a transaction.
PIPELINE = """name: {name}
source: {{ jsonl: {{ path: {name}.jsonl }} }}
flow: {{ concurrency: 20 }}
steps:
  - http: {{ url: '{mock}/orders/${{.id}}', expect: json }}
  - jq:
      program: 'if $source.dies then {{id: "none"}} else {{id: $source.id, {name}: $source.id}}{shared} end'
      timeout: 60s # a machine that runs tests is busy
sink:
  batch: {{ items: 16, period: 2ms }}
  postgres: {{ url: '{url}', table: orders, columns: {{ id: bigint, {name}: bigint }}{key}{prepared} }}
dead_letter: {{ jsonl: {{ path: {name}.dead, on_start: replace }} }}
"""


@dataclasses.dataclass
class Work:
    """What a try does: pipelines that write one table, each the column of its name."""
    names: tuple = ("orders",)
    key: bool = False
    by: str = "server"  # or "pool", "proxy"
    items: int = 1500
    dies_each: int = 500
    makes_table: bool = False  # the run does

    def dies(self, n):
        return n % self.dies_each == 13

    def source(self, name):
        """The second pipeline has the items in the opposite order."""
        numbers = range(1, self.items + 1)
        return "".join(f'{{"id": {n}, "dies": {str(self.dies(n)).lower()}}}\n'
                       for n in (numbers if name == self.names[0] else reversed(numbers)))

    def shared_row(self):
        """A row that many items of both pipelines write."""
        return f", {{id: ({self.items} + 1 + $source.id % 16)}}" if len(self.names) > 1 else ""


def start(words, **more):
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **more)


class Place:
    """A folder with a server, a mock and what runs leave."""

    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="weir-pgcrash-")
        self.children = []
        atexit.register(self.close)
        self.server("new", str(os.getpid()))
        self.server("pool")
        self.url = self.read("postgres/url")
        self.sql("ALTER DATABASE weir SET deadlock_timeout = '10ms'")
        self.children.append(start([options.weir, "mock", "--listen", "127.0.0.1:0", "--port-file",
                                    self.path("mock.port"), "--latency", "3ms"]))
        self.children.append(start([ROOT + "/tests/support/cutting_proxy", self.url, self.path("proxy"), "5"]))
        self.urls = {"server": self.url, "pool": self.read("postgres/pool"), "proxy": self.wait_for("proxy/url")}
        self.mock = "http://127.0.0.1:" + self.wait_for("mock.port")

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read().strip()

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def remove(self, name):
        if os.path.exists(self.path(name)):
            os.remove(self.path(name))

    def wait_for(self, name):
        for _ in range(3000):
            if os.path.exists(self.path(name)) and self.read(name):
                return self.read(name)
            time.sleep(0.01)
        raise TimeoutError(name)

    def port(self, work):
        """To which the work's runs connect."""
        return urllib.parse.urlsplit(self.urls[work.by]).port

    def server(self, verb, *more):
        subprocess.run([ROOT + "/tests/support/postgres", verb, self.path("postgres"), *more], check=True,
                       stdout=subprocess.DEVNULL)

    def restart_server(self):
        self.server("kill")
        self.server("start")

    def sql(self, text):
        """Returns the rows it prints."""
        return subprocess.run(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", self.url, "-c",
                               "SET client_min_messages = error; " + text],
                              check=True, stdout=subprocess.PIPE, text=True).stdout

    def deadlocks(self):
        """How often the server has ended one."""
        return self.read("postgres/log").count("deadlock detected")

    def begin(self, work):
        """Over a fresh table, without a state."""
        self.sql("DROP TABLE IF EXISTS orders, weir_ledger, weir_ledger_runs CASCADE")
        if not work.makes_table:
            self.sql(f"CREATE TABLE orders (id bigint{' PRIMARY KEY' if work.key else ''}, orders bigint, back bigint)")
        shutil.rmtree(self.path(".weir"), ignore_errors=True)
        for name in work.names:
            self.remove(name + ".dead")
            self.remove(name + ".summary")
            self.write(name + ".jsonl", work.source(name))
            self.write(name + ".yaml", PIPELINE.format(
                name=name, mock=self.mock, url=self.urls[work.by], shared=work.shared_row(),
                key=", key: id" if work.key else "", prepared=", prepared: false" if work.by == "pool" else ""))

    def run(self, name, **crash):
        """Starts it; crash: how tests/crash/disk.h disturbs it."""
        env = dict(os.environ)
        if crash:
            self.remove("calls.log")
            env.update(LD_PRELOAD=self.options.library, CRASH_COMM="weir", CRASH_LOG=self.path("calls.log"))
            env.update({"CRASH_" + key.upper(): str(value) for key, value in crash.items()})
        return start([self.options.weir, "run", name + ".yaml", "--summary", name + ".summary", "--quiet"],
                     cwd=self.folder, env=env)

    def calls(self):
        """What the disturbed run has noted of its calls."""
        return self.read("calls.log").splitlines() if os.path.exists(self.path("calls.log")) else []

    def judge(self, work):
        """What the oracle finds wrong."""
        findings = []
        for name in work.names:
            table = "orders"
            if len(work.names) > 1:
                table = "its"
                self.sql(f"CREATE OR REPLACE VIEW its AS SELECT id FROM orders WHERE {name} IS NOT NULL")
            findings += oracle.check(
                ["--source", self.path(name + ".jsonl"), "--sink", f"{self.url}:{table}", "--dead",
                 self.path(name + ".dead"), "--summary", self.path(name + ".summary"), "--dies-field", "dies",
                 *(["--unique"] if work.key else [])])
        return findings

    def close(self):
        for child in self.children:
            child.kill()
        self.server("free")
        shutil.rmtree(self.folder, ignore_errors=True)
