#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Disturbs a fleet (docs/fleet.md) in every way at random, then lets it finish, and asks whether what is promised held.

A round is a source of some items, three to five workers on three machines and one or two submits, a fresh pipeline and a
sink.  For a part of its time something is done to them every half a second or so: FAULTS has what.  Whoever was killed
is started again, often as on a machine that was started again, so that nobody but a lease tells of the death.  Then
nothing is disturbed any more, and there must be an end.  What must hold:

    at any time     read = succeeded + dropped + dead + unfinished, as the server has it, and as weir says
                    no more items have succeeded than there are rows
                    whoever has begun ends only done, killed or stopped: never by itself with anything else
    at the end      each item is a row, once, and as the upstream answered; or a dead letter; or dropped: what its line says
                    a dead letter of an item that has a row says that it may
                    the accounts say the same
                    no more calls than flow.rate, in any time
    when emptied    all end with 69 and say so; a new submit begins, and all this holds for that run

The upstream answers an item always alike.  For how it is called see scripts/nemesis.
"""
import argparse
import collections
import heapq
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request

from redisplace import ROOT, Away, Machine, Primary, wait_for_file
from runs import in_parallel, oracle, verdict

SINKS = ("postgres ledger", "sqlite ledger", "postgres key", "sqlite key")
DISTURBED = 0.7  # of a round; then it may finish
END_MOST = 90  # seconds for that
LEASE = 1.0
BURST = 5
LATE = 1  # seconds by which a busy machine sees calls together that were sent one after the other

PIPELINE = """name: nemesis
source: {{ jsonl: {{ path: orders.jsonl }} }}
broker: {{ redis: {{ url: '{redis}', lease: 1s{more} }} }}
flow: {{ concurrency: {concurrency}{rate}, retry: {{ attempts: 50, backoff: 20ms..200ms }} }}
steps:
  - http: {{ url: '{mock}/${{.what}}/${{.which}}', expect: json }}
{second}  - jq:
      program: >
        if $source.fate == "dies" then error("must die") elif $source.fate == "drops" then empty
        else {{id: $source.id, answer: (.id // .path | tostring)}} end
      timeout: 60s # a machine that runs tests is busy
sink:
  batch: {{ items: 16, period: 5ms }}
  {sink}
"""
# Another call of each item: what is kept of the first one's answer counts.
SECOND = """  - http: { url: '%s/text', expect: text, into: .text }
"""

# The accounts in one look, so that they must match.
LOOK = """local run, left = KEYS[1], 0
for i = 4, #KEYS do left = left + redis.call(redis.call('TYPE', KEYS[i]).ok == 'zset' and 'ZCARD' or 'XLEN', KEYS[i]) end
return {redis.call('HMGET', run, 'run', 'produced', 'succeeded', 'dropped', 'dead', 'sealed'), left,
  redis.call('HLEN', KEYS[2]), redis.call('HKEYS', KEYS[3])}"""
LOOK_KEYS = ["run", "letters", "alive", "retries", "suspect", "returned", "fresh:0", "fresh:1", "fresh:2", "fresh:3",
             "fresh:4", "fresh:5", "fresh:6", "fresh:7"]


def key(name):
    return "weir:{nemesis}:" + name


class Finding(Exception):
    pass


class Place:
    """What rounds share: a server of PostgreSQL.  A round has its own Redis."""

    def __init__(self, options):
        self.options = options
        self.folder = tempfile.mkdtemp(prefix="weir-nemesis-")
        self.pg_url = None

    def need_postgres(self):
        if self.pg_url:
            return
        self.postgres("new", str(os.getpid()))
        with open(self.path("postgres/url"), encoding="utf-8") as file:
            self.pg_url = file.read().strip()

    def path(self, name):
        return os.path.join(self.folder, name)

    def postgres(self, verb, *more):
        subprocess.run([ROOT + "/tests/support/postgres", verb, self.path("postgres"), *more], check=True,
                       stdout=subprocess.DEVNULL)

    def sql(self, text):
        subprocess.run(["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", self.pg_url, "-c",
                        "SET client_min_messages = error; " + text], check=True, stdout=subprocess.DEVNULL)

    def close(self):
        if self.pg_url:
            self.postgres("free")
        shutil.rmtree(self.folder, ignore_errors=True)


class Process:
    """A weir of the fleet."""

    def __init__(self, a_round, words, machine, number):
        self.words, self.boot, self.space = words, machine.boot, machine.space
        self.log = a_round.path(f"log/{number:03}-{words[0]}")
        self.started = time.monotonic()
        self.joined = self.stopped = self.killed = self.told_to_end = False
        with open(self.log, "wb") as log:
            self.popen = subprocess.Popen(
                [a_round.options.weir, *words, "nemesis.yaml", "--progress", "json"], cwd=a_round.folder,
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, **machine.environment(a_round.options.library)})
        self.pid = self.popen.pid

    def is_producer(self):
        return self.words[0] in ("submit", "run")

    def mark(self):
        """What its name at the broker has."""
        return f"/{self.boot}/{self.space}/{self.pid}/"

    def said(self):
        """What it has said, and whether it had begun: then it tells of its progress."""
        with open(self.log, encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
        words = [line for line in lines if not line.startswith('{"event":') and "warning: " not in line]
        return " | ".join(words[-6:]), any(line.startswith('{"event":"progress"') for line in lines)


class Round:
    def __init__(self, place, seed):
        self.place, self.options, self.seed = place, place.options, seed
        self.dice = random.Random(seed)
        self.sink = self.options.sinks[seed % len(self.options.sinks)]
        self.counts = collections.Counter()
        self.findings = []
        self.folder = place.path(f"round-{seed}")
        self.processes, self.ended, self.numbers = [], [], 0
        self.later = []  # heap of (when, number, function)
        self.events = 0
        self.log = []
        self.started = time.monotonic()
        self.is_calm = self.server_stopped = False
        self.pending = {}  # killed processes -> whether another process of their machine could notice
        self.is_done = False
        self.run_id, self.run_since = None, 0.0
        self.base = collections.Counter()
        self.visits = {}  # what was asked -> Popen, when, and how many items had succeeded by then
        self.questions = [(self.options.weir, *words, "nemesis.yaml") for words in (("status", "--json"),
                                                                                    ("state", "verify"))]
        if self.sink.startswith("postgres"):
            place.need_postgres()
            self.questions.append(("psql", "-c", "SELECT count(DISTINCT id) FROM orders", "-XqAt", "-d", place.pg_url))

    def path(self, name):
        return os.path.join(self.folder, name)

    def now(self):
        return time.monotonic() - self.started

    def note(self, text):
        self.log.append(f"{self.now():7.3f} {text}")

    def finding(self, text):
        self.note("FINDING " + text)
        self.findings.append(f"at {self.now():.1f} s: {text}")

    def after(self, seconds, what):
        self.events += 1
        heapq.heappush(self.later, (self.now() + seconds, self.events, what))

    # ---- the beginning

    def choose(self):
        dice, seconds = self.dice, self.options.seconds
        self.want = dice.randint(3, 5)
        self.rate = dice.choice((0, 0, 100, 200))
        self.concurrency = dice.choice((8, 16, "auto"))
        self.emptied_at = seconds * dice.uniform(0.3, 0.5) if dice.random() < self.options.emptied else 0
        self.detach = dice.random() < 0.3
        self.has_second = dice.random() < 0.5
        per_second = min(self.rate or 1000, 150 if self.has_second else 200)
        if self.rate and self.has_second:
            per_second = min(per_second, self.rate / 2)
        self.items = int(per_second * seconds * DISTURBED * 0.9)
        self.max_items = dice.choice((0, 0, self.items // 4 + 1))

    def make_source(self):
        self.fates = {}
        with open(self.path("orders.jsonl"), "w", encoding="utf-8") as file:
            for n in range(1, self.items + 1):
                kind = self.dice.random()
                item = {"id": n, "what": "orders", "which": n, "fate": "row"}
                if kind < 0.03:
                    item["fate"] = "drops"
                elif kind < 0.06:
                    item["fate"] = "dies"
                elif kind < 0.08:
                    item.update(what="status", which=404, fate="missing")
                elif kind < 0.15:
                    item.update(what="echo")  # fails at first
                self.fates[n] = (item["fate"], str(n) if item["what"] == "orders" else f"/echo/{n}")
                file.write(json.dumps(item) + "\n")

    def has_ledger(self):
        return self.sink.endswith("ledger")

    def make_old_row(self):
        """One that the run replaces when it begins: whoever did so later would take rows along."""
        old = "CREATE TABLE orders (id bigint, answer text); INSERT INTO orders VALUES (0, 'old')"
        if self.sink.startswith("postgres"):
            self.place.sql(old)
        else:
            database = sqlite3.connect(self.path("out.db"))
            database.executescript(old)
            database.close()

    def sink_yaml(self):
        by_key = f", on_start: {'replace' if self.replaces else 'append'}" if self.has_ledger() else ", key: id"
        if self.sink.startswith("postgres"):
            return (f"postgres: {{ url: '{self.place.pg_url}', table: orders, columns: {{ id: bigint, answer: text }}"
                    f"{by_key} }}")
        return f"sqlite: {{ path: out.db, table: orders, columns: [id, answer]{by_key} }}"

    def begin(self):
        os.makedirs(self.path("log"))
        os.makedirs(self.path("machines"))
        self.choose()
        self.make_source()
        if self.sink.startswith("postgres"):
            self.place.sql("DROP TABLE IF EXISTS orders, weir_ledger, weir_ledger_runs CASCADE")
        self.replaces = self.has_ledger() and not self.emptied_at
        if self.replaces:
            self.make_old_row()
        self.primary = Primary(self.folder, self.options.library)
        with open(self.path("mock.log"), "wb") as log:
            self.mock = subprocess.Popen(
                [self.options.weir, "mock", "--listen", "127.0.0.1:0", "--port-file", self.path("mock.port"),
                 "--latency", "5ms..60ms", "--fault", "/echo=once/status/503", "--workers", "8"],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "LD_PRELOAD": self.options.library})
        self.mock_url = "http://127.0.0.1:" + wait_for_file(self.path("mock.port"))
        with open(self.path("nemesis.yaml"), "w", encoding="utf-8") as file:
            file.write(PIPELINE.format(
                redis=self.primary.url, mock=self.mock_url, concurrency=self.concurrency,
                more=f", max_items: {self.max_items}" if self.max_items else "",
                rate=f", rate: {self.rate}/s, burst: {BURST}" if self.rate else "",
                second=SECOND % self.mock_url if self.has_second else "", sink=self.sink_yaml()))
        self.machines = [Machine(self.path("machines"), name, self.dice) for name in ("alpha", "beta", "gamma")]
        self.note(f"seed {self.seed}, {self.sink}, {self.items} items, {self.want} workers, rate {self.rate}, "
                  f"concurrency {self.concurrency}, emptied at {self.emptied_at:.1f}, detach {self.detach}, "
                  f"second {self.has_second}, max_items {self.max_items}")

    # ---- processes

    def start(self, *words):
        machine = self.dice.choice(self.machines)
        if self.dice.random() < 0.6:
            machine.reboot(self.dice)
        self.numbers += 1
        process = Process(self, words, machine, self.numbers)
        for killed in self.pending:
            if killed.boot == process.boot:
                self.pending[killed] = True
        self.processes.append(process)
        self.note(f"start {self.numbers} {' '.join(words)} pid {process.pid} on {machine.name} {machine.boot[:8]}")

    def workers(self):
        return [p for p in self.processes if p.words[0] != "submit"]

    def producers(self):
        return [p for p in self.processes if p.is_producer()]

    def start_producer(self):
        self.to_start_producer = False
        if self.is_done or self.producers():
            return
        if not self.detach and self.dice.random() < 0.3:
            self.start("run")
        else:
            self.start("submit", *(["--detach"] if self.detach else []))

    def start_worker(self):
        self.to_start -= 1
        if not self.is_done and len(self.workers()) < 5:
            self.start("work")

    def soon(self):
        return self.dice.random() ** 2 * (0.3 if self.is_calm else 3) + 0.05

    def keep_up(self):
        """Whoever is missing is started soon."""
        if self.is_done or self.holds_still:
            return
        while len(self.workers()) + self.to_start < self.want:
            self.to_start += 1
            self.after(self.soon(), self.start_worker)
        if not self.producers() and not self.to_start_producer and not self.is_submitted():
            self.to_start_producer = True
            self.after(self.soon(), self.start_producer)

    def is_submitted(self):
        """All is in the broker: only who detaches has ended then."""
        return self.detach and self.sealed and self.was_submitted

    def end_of(self, process, code):
        """Judges how a process ended."""
        text, had_begun = process.said()
        self.note(f"end {process.log[-10:]} pid {process.pid} code {code}")
        if process.killed and code == -signal.SIGKILL:
            return
        if code in (0, 3):
            if process.words == ("submit", "--detach"):
                self.was_submitted = True
            else:
                self.is_done = True
                self.check_done(process)
            return
        if code in (5, -signal.SIGTERM) and process.told_to_end:
            return
        if code == 69 and self.emptied and "the broker was reset" in text:
            self.counts["ended by reset"] += 1
            return
        away = r"Redis (at|is loading) |to PostgreSQL as |lost the connection to weir@"
        if code == 69 and not had_begun and re.search(away, text):
            self.counts["not begun"] += 1  # the server was away, and it says so
            return
        if code == 75 and process.is_producer():
            self.counts["refused"] += 1
            return
        self.finding(f"{process.log} ended with {code}: {text}")

    def tend(self):
        for process in list(self.processes):
            code = process.popen.poll()
            if code is not None:
                self.processes.remove(process)
                self.ended.append(process)
                self.end_of(process, code)
        self.keep_up()

    # ---- looks

    def look(self):
        if self.server_stopped:
            return
        try:
            run, left, letters, alive = self.primary.now.say("EVAL_RO", LOOK, len(LOOK_KEYS), *map(key, LOOK_KEYS))
        except (Away, RuntimeError):
            return
        if run[0] != self.run_id:
            self.run_id, self.run_since = run[0], self.now()
        if not run[0]:
            self.sealed = False
            return
        read, succeeded, dropped, dead, sealed = (int(value or 0) for value in run[1:])
        self.sealed, self.succeeded = bool(sealed), succeeded
        self.left = left
        if self.is_done and (left or not sealed):
            if not self.rolls_back():
                self.finding("somebody has ended with all done, and it is not")
            self.is_done = False
        if read != succeeded + dropped + dead + left:
            self.finding(f"at the server {read} read, {succeeded} + {dropped} + {dead} + {left} accounted for")
        if dead != letters:
            self.finding(f"at the server {dead} dead, {letters} dead letters")
        for process in self.processes:
            process.joined = process.joined or any(process.mark() in name for name in alive)
        for process, could in list(self.pending.items()):
            if not any(process.mark() in name for name in alive):
                del self.pending[process]
                if process.joined:
                    self.counts["noticed on the machine" if could else "noticed by lease"] += 1

    def rows(self):
        findings = []
        if self.sink.startswith("sqlite"):
            rows = oracle.read_sink(self.path("out.db") + ":orders", findings)
        else:
            try:
                rows = oracle.read_sink(self.place.pg_url + ":orders", findings)
            except oracle.Finding as bad:
                if "does not exist" not in str(bad):
                    raise
                rows = []
        for text in findings:
            self.finding(text)
        return rows

    def rolls_back(self):
        """Whether the server may have forgotten something: even after a kill, if its disk was busy."""
        return self.counts["failover"] or self.counts["restart"]

    def check_done(self, process):
        """Who says that all is done is right."""
        dead = self.say("HKEYS", key("letters"))
        if dead is None or self.rolls_back():
            return
        there = {row["id"] for row in self.rows()}
        dead = {int(number) for number in dead}
        missing = [n for n, (fate, _) in self.fates.items() if fate == "row" and n not in there and n not in dead]
        if missing:
            self.finding(f"{process.log} says done, and items are missing: {oracle.some(missing)}")

    def visit(self):
        """What weir says of the run from outside, and how many rows there are: asked, and not waited for."""
        for words, (popen, since, succeeded) in list(self.visits.items()):
            if popen.poll() is None:
                if time.monotonic() - since > 60:
                    self.finding(f"{' '.join(words)} does not end")
                    popen.kill()
                continue
            del self.visits[words]
            self.judge_visit(words, popen.returncode, popen.communicate()[0].decode(), succeeded)
        for words in self.questions:
            if random.random() < 0.02 and words not in self.visits:
                self.visits[words] = (subprocess.Popen(
                    words, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                    env={**os.environ, "LD_PRELOAD": self.options.library}), time.monotonic(), self.succeeded)

    def judge_visit(self, words, code, out, succeeded):
        """succeeded: as many had when this was asked."""
        if words[1] == "-c":  # psql
            if code == 0 and not self.was_emptied and int(out) < succeeded:
                self.finding(f"{succeeded} items have succeeded, and there are {out.strip()} rows")
            return
        self.counts["looks"] += code == 0
        if code in (69, 75):
            return
        if code:
            self.finding(f"{' '.join(words)} ended with {code}: {out.strip()}")
        elif words[1] == "status":
            said = json.loads(out)
            if said["state"] != "new" and said["read"] != sum(
                    said[name] for name in ("succeeded", "dead", "dropped", "unfinished")):
                self.finding(f"the status does not add up: {out.strip()}")

    def compare_rows(self):
        """No item is settled whose row is not there: looked at in this order."""
        if self.was_emptied or self.sink.startswith("postgres") or time.monotonic() - self.last_rows < 1:
            return
        self.last_rows = time.monotonic()
        rows = len({row["id"] for row in self.rows()})
        if rows < self.succeeded:
            self.finding(f"{self.succeeded} items have succeeded, and there are {rows} rows")

    # ---- what is done to them

    def pick(self, processes):
        processes = [p for p in processes if p.popen.poll() is None]
        return self.dice.choice(processes) if processes else None

    def fault_kill(self, only=None):
        process = self.pick(only or self.processes)
        if not process:
            return None
        process.killed = True
        process.popen.kill()
        self.pending[process] = any(p is not process and p.boot == process.boot for p in self.processes)
        return process.log[-10:]

    def fault_kill_two(self):
        self.counts["kill"] += bool(self.fault_kill())
        return self.fault_kill()

    def fault_kill_submit(self):
        producers = self.producers()
        return self.fault_kill(producers) if producers else None

    def stop_for(self, process, seconds):
        if not process or process.stopped:
            return None
        process.stopped = True
        process.popen.send_signal(signal.SIGSTOP)

        def go_on():
            process.stopped = False
            if process.popen.poll() is None:
                process.popen.send_signal(signal.SIGCONT)
        self.after(seconds, go_on)
        return f"{process.log[-10:]} {seconds:.1f} s"

    def fault_stop(self):
        return self.stop_for(self.pick(self.processes), LEASE * self.dice.uniform(1.5, 6))

    def fault_stop_shortly(self):
        return self.stop_for(self.pick(self.processes), self.dice.uniform(0.1, 1))

    def fault_term(self):
        process = self.pick(self.workers())
        if process:
            process.told_to_end = True
            process.popen.terminate()
        return process and process.log[-10:]

    def fault_second_submit(self):
        if self.detach or self.dice.random() < 0.5:
            return None
        self.start("submit")
        return "at all"

    def fault_restart(self):
        self.resume_server()
        self.primary.restart()
        return "at once"

    def resume_server(self):
        if self.server_stopped:
            self.server_stopped = False
            self.primary.now.send_signal(signal.SIGCONT)

    def fault_pause(self):
        if self.server_stopped:
            return None
        seconds = self.dice.random() ** 2 * 6 + 0.2
        self.server_stopped = True
        self.primary.now.send_signal(signal.SIGSTOP)
        self.after(seconds, self.resume_server)
        return f"{seconds:.1f} s"

    def say(self, *words):
        if self.server_stopped:
            return None
        try:
            return self.primary.now.say(*words)
        except (Away, RuntimeError) as bad:
            self.note(f"{words}: {bad}")
            return None

    def fault_memory(self):
        seconds = self.dice.uniform(0.5, 3)
        if not self.say("CONFIG", "SET", "maxmemory", "1"):
            return None
        self.after(seconds, lambda: self.say("CONFIG", "SET", "maxmemory", "0"))
        return f"{seconds:.1f} s"

    def fault_clock(self):
        ms = self.dice.choice((-3600000, 3600000, 0, -90000, 90000))
        if ms == self.primary.now.clock_ms:
            return None
        self.primary.now.set_clock(ms)
        return f"{ms // 1000} s"

    def fault_script_flush(self):
        return self.say("SCRIPT", "FLUSH")

    def fault_client_kill(self):
        if self.dice.random() < 0.3:
            return self.say("CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes")
        listed = self.say("CLIENT", "LIST", "TYPE", "normal")
        if not listed:
            return None
        one = self.dice.choice(listed.splitlines()).split()[0].removeprefix("id=")
        return self.say("CLIENT", "KILL", "ID", one, "SKIPME", "yes")

    def fault_cut(self):
        return self.primary.proxy.tell(cut=self.dice.choice((0.3, 1)))

    def trouble(self, seconds, **what):
        self.primary.proxy.tell(trouble=what)
        self.after(seconds, lambda: self.primary.proxy.tell(trouble={}))
        return f"{what} {seconds:.1f} s"

    def fault_delay(self):
        return self.trouble(self.dice.uniform(0.5, 3), delay=self.dice.choice((0.02, 0.2, 0.6)))

    def fault_split(self):
        return self.trouble(self.dice.uniform(0.5, 3), split=True)

    def fault_lose(self):
        return self.trouble(self.dice.uniform(0.5, 3), lose=self.dice.choice((0.01, 0.1, 0.3)))

    def fault_repeat(self):
        return self.trouble(self.dice.uniform(0.5, 3), repeat=self.dice.choice((0.05, 0.3)))

    def fault_failover(self):
        self.resume_server()
        if not self.run_id or self.now() - self.run_since < 3:
            return None  # a server that forgets the beginning was reset
        lag = self.dice.random() * 1.2
        overlap = self.dice.choice((0, 0, 0.5, 1.5))
        self.primary.fail_over(lag, overlap)
        return f"{lag:.1f} s lost, {overlap} s both"

    def fault_stranger(self):
        """Removes a consumer or a group."""
        stream = key(self.dice.choice(("fresh:0", "returned", "suspect")))
        if self.dice.random() < 0.3:
            return self.say("XGROUP", "DESTROY", stream, "w") and "group"
        consumers = self.say("XINFO", "CONSUMERS", stream, "w")
        if not consumers:
            return None
        self.say("XGROUP", "DELCONSUMER", stream, "w", self.dice.choice(consumers)[1])
        return "consumer"

    def fault_sink(self):
        if not self.sink.startswith("postgres"):
            return None
        self.place.postgres("kill")
        self.place.postgres("start")
        return "PostgreSQL"

    FAULTS = {"kill": 8, "kill_two": 2, "kill_submit": 2, "stop": 5, "stop_shortly": 3, "term": 2, "second_submit": 1,
              "restart": 2, "pause": 3, "memory": 2, "clock": 3, "script_flush": 3, "client_kill": 3, "cut": 3,
              "delay": 2, "split": 2, "lose": 4, "repeat": 3, "failover": 2, "stranger": 1, "sink": 1}

    def disturb(self):
        names = [name for name in self.FAULTS if name not in self.options.without]
        if self.options.only_faults:
            names = self.options.only_faults
        name = self.dice.choices(names, [self.FAULTS[name] for name in names])[0]
        done = getattr(self, "fault_" + name)()
        if done is not None:
            self.counts["kill" if name.startswith("kill") else name] += 1
            self.note(f"fault {name}: {done}")
        self.after(self.dice.random() ** 2 * 1.2 + 0.05, self.disturb_more)

    def disturb_more(self):
        if not self.is_calm and not self.holds_still:
            self.disturb()

    # ---- emptied

    def undisturb(self):
        self.resume_server()
        self.primary.calm()
        for process in self.processes:
            if process.stopped:
                process.stopped = False
                process.popen.send_signal(signal.SIGCONT)
        self.later = []
        self.to_start, self.to_start_producer = 0, False

    def wait(self, seconds, is_over):
        end = time.monotonic() + seconds
        while not is_over() and time.monotonic() < end:
            self.step()
        return is_over()

    def empty(self):
        """All that is at the server is gone, for whoever has begun the end."""
        self.undisturb()
        self.holds_still = True
        self.wait(10, lambda: all(p.joined for p in self.processes))
        for process in self.processes:
            if not process.joined:
                process.killed = True
                process.popen.kill()
        self.emptied = self.was_emptied = True
        if self.dice.random() < 0.5:
            self.say("FLUSHALL")
        else:
            self.primary.now.kill()
            shutil.rmtree(self.primary.now.path("appendonlydir"))
            self.primary.now.start()
        self.note("emptied")
        if not self.wait(30, lambda: not self.processes):
            raise Finding("the server was emptied, and these do not end: "
                          + ", ".join(process.log for process in self.processes))
        time.sleep(1)  # statements that are under way
        self.base = collections.Counter(row["id"] for row in self.rows())
        self.pending.clear()
        self.was_submitted = self.is_done = self.emptied = self.holds_still = False
        self.succeeded = 0
        self.counts["emptied"] += 1
        self.after(0, self.disturb_more)

    # ---- the end

    def letters(self):
        words = [self.options.weir, "dead", "export", "nemesis.yaml"]
        done = subprocess.run(words, cwd=self.folder, capture_output=True, check=False, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise Finding(f"weir dead export ended with {done.returncode}: {done.stderr.decode()}")
        return [json.loads(line) for line in done.stdout.decode().splitlines()]

    def judge(self):
        rows, letters = self.rows(), {}
        found = collections.defaultdict(list)
        times = collections.Counter(row["id"] for row in rows)
        answers = {row["id"]: row["answer"] for row in rows}
        for letter in self.letters():
            n = letter["item"]["id"]
            if n in letters:
                found["have several dead letters"].append(n)
            letters[n] = letter["reason"]
        by_key = not self.has_ledger()
        for n in set(times) - set(self.fates):
            found["are of no item of the source"].append(n)
        counts = collections.Counter()
        for n, (fate, answer) in self.fates.items():
            here, reason = times[n] - (0 if by_key else self.base[n]), letters.get(n)
            may_have_both = reason and reason.startswith("crash: ")
            counts["dead" if reason else "succeeded" if fate == "row" else "dropped"] += 1
            if here < 0 or here > 1:
                found["have several rows"].append(n)
            if here and reason and not may_have_both and not (by_key and self.base[n]):
                found["have a row and a dead letter"].append(f"{n} ({reason})")
            if fate == "row" and not here and not reason:
                found["are lost"].append(n)
            if fate == "row" and reason and not may_have_both:
                found["died that should not have"].append(f"{n} ({reason})")
            if fate in ("dies", "missing") and not reason:
                found["did not die"].append(n)
            if fate != "row" and here:
                found[f"have a row, and should have {fate}"].append(n)
            if here and answers[n] != answer:
                found["have another answer"].append(f"{n} ({answers[n]})")
            self.counts["crash letters"] += bool(may_have_both)
        for what, numbers in found.items():
            self.finding(f"{len(numbers)} items {what}: {oracle.some(numbers)}")
        out = subprocess.run([self.options.weir, "status", "--json", "nemesis.yaml"], cwd=self.folder,
                             capture_output=True, check=False, stdin=subprocess.DEVNULL).stdout.decode()
        said = json.loads(out)
        counts.update(read=self.items, unfinished=0)
        for name in ("read", "succeeded", "dropped", "dead", "unfinished"):
            if said[name] != counts[name]:
                self.finding(f"the accounts say {said[name]} {name}, and it is {counts[name]}")

    def judge_rate(self):
        """In any whole seconds: no more than the rate, but what a busy machine saw late."""
        if not self.rate:
            return
        with urllib.request.urlopen(self.mock_url + "/stats/seconds", timeout=10) as answer:
            per_second = json.load(answer)["requests"]
        sums = [0]
        for n in per_second:
            sums.append(sums[-1] + n)
        for a in range(len(per_second)):
            for b in range(a + 1, len(per_second) + 1):
                most = self.rate * (b - a + LATE) + BURST + 5
                if sums[b] - sums[a] > most:
                    self.finding(f"{sums[b] - sums[a]} calls in {b - a} s, allowed are {most:.0f}")
                    return

    def step(self):
        while self.later and self.later[0][0] <= self.now():
            heapq.heappop(self.later)[2]()
        self.look()
        self.tend()
        self.visit()
        self.compare_rows()
        time.sleep(0.02)

    def play(self):
        self.sealed = self.was_submitted = self.holds_still = self.emptied = self.was_emptied = False
        self.succeeded, self.left, self.last_rows = 0, 0, 0.0
        self.to_start, self.to_start_producer = 0, False
        self.begin()
        self.started = time.monotonic()
        self.start_producer()
        for _ in range(self.want):
            self.to_start += 1
            self.start_worker()
        self.after(0.3, self.disturb)
        calm_at = self.options.seconds * DISTURBED
        if self.emptied_at:
            self.wait(self.emptied_at, lambda: self.is_done)
            if not self.is_done:
                self.empty()
        self.wait(calm_at - self.now(), lambda: self.is_done)
        self.undisturb()
        self.is_calm = True
        self.note("calm")
        if not self.wait(END_MOST, lambda: self.is_done and not self.processes):
            raise Finding("no end: " + ", ".join(process.log for process in self.processes)
                          + f"; {self.left} items left, sealed: {self.sealed}")

    def keep(self):
        to = os.path.join(self.options.keep, f"nemesis-{self.seed}")
        shutil.rmtree(to, ignore_errors=True)
        try:
            for name in ("run", "who"):
                self.note(f"{name}: {self.say('HGETALL', key(name))}")
            for name in ("fresh:0", "returned", "suspect"):
                self.note(f"{name}: {self.say('XLEN', key(name))} {self.say('XPENDING', key(name), 'w')}")
            self.note(f"retries: {self.say('ZRANGE', key('retries'), 0, -1, 'WITHSCORES')}")
        finally:
            with open(self.path("nemesis.log"), "w", encoding="utf-8") as file:
                file.write("\n".join(self.log) + "\n")
            shutil.copytree(self.folder, to, ignore=shutil.ignore_patterns("ctl", "*.sock"))
        return to

    def run(self):
        kept = None
        try:
            self.play()
            self.judge()
            self.judge_rate()
        except (Finding, oracle.Finding) as bad:
            self.finding(str(bad))
        finally:
            if hasattr(self, "primary"):
                if self.findings and self.options.keep:
                    kept = self.keep()
                self.end()
        return kept

    def end(self):
        for process in [*self.processes]:
            process.popen.kill()
            process.popen.wait()
        for popen, _, _ in self.visits.values():
            popen.kill()
            popen.communicate()
        self.mock.kill()
        self.mock.wait()
        done = self.primary.proxy.tell()
        self.counts.update({"connections cut": done["cut"], "messages lost": done["lost"],
                            "calls repeated": done["repeated"]})
        self.primary.close()
        shutil.rmtree(self.folder, ignore_errors=True)


class Suite:
    def __init__(self, options):
        self.options = options
        self.places, self.results, self.counts = {}, [], collections.Counter()

    def job_of(self, seed):
        def job(worker):
            started = time.monotonic()
            if worker not in self.places:
                self.places[worker] = Place(self.options)
            a_round = Round(self.places[worker], seed)
            kept = a_round.run()
            self.results.append(not a_round.findings)
            self.counts.update(a_round.counts)
            did = ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in sorted(a_round.counts.items()) if n)
            print(f"{'FAIL' if a_round.findings else 'ok  '} seed {seed}, {a_round.sink}: {a_round.items} items; {did} "
                  f"({time.monotonic() - started:.0f} s)",
                  *a_round.findings[:5], *([f"kept: {kept}"] if kept else []), sep="\n     ", flush=True)
        return job

    def close(self):
        for place in [*self.places.values()]:
            place.close()

    def end(self, *_):
        """At once, though rounds run on threads; what they have started ends with this process."""
        self.close()
        os._exit(1)

    def run(self):
        options = self.options
        print(f"seed {options.seed}", flush=True)
        try:
            in_parallel(options.jobs, [self.job_of(options.seed + i) for i in range(options.seeds)])
        finally:
            self.close()
        kills = self.counts["noticed by lease"] + self.counts["noticed on the machine"]
        print("together: " + ", ".join(f"{n} {name.replace('_', ' ')}" for name, n in sorted(self.counts.items())))
        if kills:
            print(f"{self.counts['noticed by lease']} of {kills} deaths were noticed by a lease alone")
        return verdict(self.results)


def main():
    build = os.environ.get("WEIR_BUILD", ROOT + "/build")
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--seconds", type=float, default=20)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--sink", action="append", dest="sinks")
    parser.add_argument("--only", action="append", dest="only_faults")
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--emptied", type=float, default=0.12)
    parser.add_argument("--keep")
    parser.add_argument("--weir", default=os.path.join(build, "weir"))
    parser.add_argument("--library", default=os.path.join(build, "tests/crash/weir-machine.so"))
    options = parser.parse_args()
    options.sinks = options.sinks or SINKS
    if options.sample:  # one into PostgreSQL, one into SQLite
        options.seeds, options.jobs, options.seconds = 2, 2, 7
        options.seed -= options.seed % len(options.sinks)
    options.weir, options.library = os.path.abspath(options.weir), os.path.abspath(options.library)
    # Debian's psql is a script that looks for this one.
    programs = subprocess.run(["pg_config", "--bindir"], capture_output=True, check=True).stdout.decode().strip()
    os.environ["PATH"] = programs + ":" + os.environ["PATH"]
    os.environ["MACHINE_PARENT"] = str(os.getpid())
    os.environ["PGCONNECT_TIMEOUT"] = "60"  # a machine that runs tests is busy
    suite = Suite(options)
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, suite.end)
    return suite.run()


if __name__ == "__main__":
    sys.exit(main())
