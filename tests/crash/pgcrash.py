#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Kills runs into PostgreSQL, the server, and connections, until the runs are done; then asks the oracle.

A try is a source of some items that is worked off by run after run, each killed at a random moment, over a fresh table. What
is disturbed differs by group:

    key, ledger     weir is killed
    server          the server is killed with SIGKILL as well, and started again
    answers         a proxy throws the answers to commits away
    two             two pipelines write one table with a key at a time, their keys in opposite order, and both are killed

For how it is called see scripts/pgcrash.
"""
import argparse
import atexit
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
ITEMS = 1500

PIPELINE = """name: {name}
source: {{ jsonl: {{ path: {name}.jsonl }} }}
flow: {{ concurrency: 20 }}
steps:
  - http: {{ url: '{mock}/orders/${{.id}}', expect: json }}
  - jq: 'if $source.id % 500 == 13 then {{id: -$source.id, total: 0}} else {{id: $source.id, total: $source.id}} end'
sink:
  batch: {{ items: 16, period: 2ms }}
  postgres: {{ url: '{url}', table: orders{key} }}
dead_letter: {{ jsonl: {{ path: {name}.dead, on_start: replace }} }}
"""


def start(words, **more):
    return subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, **more)


class Place:
    """A folder with a server, a mock and what runs leave."""

    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="weir-pgcrash-")
        self.children = []
        os.environ["PGCONNECT_TIMEOUT"] = "60"  # a machine that runs tests is busy
        atexit.register(self.close)
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
        self.server("new", str(os.getpid()))
        self.url = self.read("postgres/url")
        self.children.append(start([options.weir, "mock", "--listen", "127.0.0.1:0", "--port-file",
                                    self.path("mock.port"), "--latency", "3ms"]))
        self.proxy_url = self.start_proxy()
        self.mock = "http://127.0.0.1:" + self.wait_for("mock.port")

    def path(self, name):
        return os.path.join(self.folder, name)

    def read(self, name):
        with open(self.path(name), encoding="utf-8") as file:
            return file.read().strip()

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def wait_for(self, name):
        for _ in range(3000):
            if os.path.exists(self.path(name)) and self.read(name):
                return self.read(name)
            time.sleep(0.01)
        raise TimeoutError(name)

    def server(self, verb, *more):
        subprocess.run([ROOT + "/tests/support/postgres", verb, self.path("postgres"), *more], check=True,
                       stdout=subprocess.DEVNULL)

    def start_proxy(self):
        self.children.append(start([ROOT + "/tests/support/cutting_proxy", self.url, self.path("proxy"), "5"]))
        return self.wait_for("proxy/url")

    def begin(self, key):
        self.server("sql", "SET client_min_messages = error; DROP TABLE IF EXISTS orders; CREATE TABLE orders (id bigint CHECK (id > 0), total numeric"
                    + (", PRIMARY KEY (id))" if key else ")"))

    def pipeline(self, name, ids, url, key):
        for left in (name + ".dead", name + ".summary"):
            if os.path.exists(self.path(left)):
                os.remove(self.path(left))
        shutil.rmtree(self.path(".weir"), ignore_errors=True)
        self.write(name + ".jsonl", "".join(f'{{"id": {n}, "dies": {str(n % 500 == 13).lower()}}}\n' for n in ids))
        self.write(name + ".yaml", PIPELINE.format(name=name, mock=self.mock, url=url, key=", key: id" if key else ""))

    def run(self, name):
        return start([self.options.weir, "run", name + ".yaml", "--summary", name + ".summary", "--quiet"],
                     cwd=self.folder)

    def ask_oracle(self, name, key):
        words = [ROOT + "/tests/support/oracle", "--source", name + ".jsonl", "--sink", self.url + ":orders", "--dead",
                 name + ".dead", "--summary", name + ".summary", "--key", "id", "--dies-field", "dies"]
        said = subprocess.run(words + (["--unique"] if key else []), cwd=self.folder, capture_output=True, check=False)
        return (said.stdout + said.stderr).decode().strip() if said.returncode else ""

    def close(self):
        for child in self.children:
            child.kill()
        self.server("free")
        shutil.rmtree(self.folder, ignore_errors=True)


class Suite:
    def __init__(self, options):
        self.options = options
        self.rng = random.Random(options.seed)
        self.place = Place(options)
        self.passed = self.failed = 0

    def wait_a_while(self):
        time.sleep(self.rng.random() ** 2 * 0.6 + 0.02)

    def end(self, runs, wanted):
        """Waits for runs to end by themselves, or kills them; whether all have done their work."""
        self.wait_a_while()
        killed = 0
        for run in runs:
            if wanted and run.poll() is None:
                run.send_signal(signal.SIGKILL)
                killed += 1
        said = [run.communicate()[1].decode() for run in runs]
        codes = [run.returncode for run in runs]
        for code, text in zip(codes, said):
            if code not in (0, 3, -signal.SIGKILL, 69):
                raise RuntimeError(f"exit code {code}: {text}")
        return killed, all(code in (0, 3) for code in codes)

    def one_try(self, names, key, url, disturb, kills):
        """Kills the runs until they are done or have been killed often enough; how often it was."""
        place, done, ends = self.place, False, 0
        place.begin(key)
        for i, name in enumerate(names):
            place.pipeline(name, range(1, ITEMS + 1) if i == 0 else range(ITEMS, 0, -1), url, key)
        while not done:
            runs = [place.run(name) for name in names]
            if disturb:
                self.wait_a_while()
                disturb()
            killed, done = self.end(runs, ends < min(kills, 12))
            ends += killed if not disturb else 1
        findings = [place.ask_oracle(name, key) for name in names]
        return ends, [finding for finding in findings if finding]

    def restart_server(self):
        self.place.server("kill")
        self.place.server("start")

    def group(self, name, kills, names=("orders",), key=False, url=None, disturb=None):
        if not kills or (self.options.only and not any(only in name for only in self.options.only)):
            return
        done, tries, findings = 0, 0, []
        try:
            while done < kills and not findings:
                ends, findings = self.one_try(names, key, url or self.place.url, disturb, kills - done)
                done += max(ends, 1)
                tries += 1
        except (RuntimeError, subprocess.CalledProcessError) as bad:
            findings = [str(bad)]
        self.passed += not findings
        self.failed += bool(findings)
        print(f"{'FAIL' if findings else 'ok  '} {name}: killed {done} times in {tries} tries", *findings, sep="\n     ",
              flush=True)

    def run(self):
        kills, servers = self.options.kills, self.options.server_kills
        print(f"seed {self.options.seed}", flush=True)
        self.group("key", kills // 3, key=True)
        self.group("ledger", kills // 3)
        self.group("two", kills // 6, names=("orders", "back"), key=True)
        self.group("answers, key", kills // 12, key=True, url=self.place.proxy_url)
        self.group("answers, ledger", kills // 12, url=self.place.proxy_url)
        self.group("server, key", servers // 2, key=True, disturb=self.restart_server)
        self.group("server, ledger", (servers + 1) // 2, disturb=self.restart_server)
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0


def main():
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--server-kills", type=int, default=50)
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", action="append")
    parser.add_argument("--weir", default=os.path.join(os.environ.get("WEIR_BUILD", ROOT + "/build"), "weir"))
    options = parser.parse_args()
    if options.sample:
        options.kills, options.server_kills = 30, 3
    options.weir = os.path.abspath(options.weir)
    return Suite(options).run()


if __name__ == "__main__":
    sys.exit(main())
