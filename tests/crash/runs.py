# SPDX-License-Identifier: MIT
"""Pipelines to be killed, and how to run and judge them.  For crash.py and powercut.py.

A source line says what is to become of it: {"id": 7, "rows": 2, "total": 14}, rows 0: it is dropped, "dies": true: it
is a dead letter.  Some lines are there twice, some are no JSON.  So the oracle knows for each item where it has to be.

To add a pipeline: a row in PIPELINES.
"""
import json
import os
import random
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from importlib.machinery import SourceFileLoader

sys.dont_write_bytecode = True
HERE = os.path.dirname(os.path.abspath(__file__))
oracle = SourceFileLoader("oracle", os.path.join(HERE, "..", "support", "oracle")).load_module()

KILLED = -9
TERMINATED = -15  # before it listens to signals
DONE = (0, 3)
STOPPED = 5
SECONDS_MAX = 60  # of one run of weir
OWN = ("pipeline.yaml", "orders.jsonl")  # what belongs to the test, not to weir

SORT = """
  - jq: 'if .dies then error("must die") elif .rows == 0 then empty else . end'"""
LOCAL = SORT + """
  - jq: '. as $item | range(.rows) | {id: $item.id, total: $item.total}'"""
FETCH = SORT + """
  - http: { url: '${env:MOCK_URL}/orders/${.id}', expect: json }
  - jq: '{id, total: ([.items[] | .qty * .price] | add)}'"""

# Some write beside the state folder, some into another folder: a sync of the one's name must not be taken for the
# other's.
SINKS = {
    "jsonl": "jsonl: { path: out.jsonl }",
    "csv": "csv: { path: out/out.csv, columns: [id, total] }",
    "key": "sqlite: { path: out.db, table: orders, key: id }",
    "ledger": "sqlite: { path: out/out.db, table: orders, columns: [id, total] }",
}
TARGETS = {"jsonl": "out.jsonl", "csv": "out/out.csv", "key": "out.db:orders", "ledger": "out/out.db:orders"}


class Pipeline:
    def __init__(self, sink, fetch=False, letters="file", broker=""):
        self.sink, self.fetch, self.letters, self.broker = sink, fetch, letters, broker
        self.name = sink + ("-http" if fetch else "")
        self.most_rows = 1 if fetch or sink == "key" else 3

    def yaml(self, batch, concurrency):
        dead = "dead_letter: { jsonl: { path: dead.jsonl } }\n" if self.letters == "file" else ""
        steps = FETCH if self.fetch else LOCAL
        return (f"source: {{ jsonl: {{ path: orders.jsonl }} }}\n{self.broker}steps:{steps}\n"
                f"flow: {{ concurrency: {concurrency}, retry: {{ attempts: 20, backoff: 2ms..20ms }} }}\n"
                f"sink: {{ {SINKS[self.sink]}, batch: {{ items: {batch}, period: 2ms }} }}\n{dead}")

    def source(self, items, rng):
        lines = []
        while len(lines) < items:
            number = len(lines) + 1
            item = {"id": number, "rows": 1, "total": 3 * number}
            kind = rng.random()
            if kind < 0.05:
                item["rows"] = 0
            elif kind < 0.10:
                item["dies"] = True
            elif kind < 0.20:
                item["rows"] = rng.randint(1, self.most_rows)
            elif kind < 0.22:
                lines.append("no JSON " + str(number))
                continue
            lines.extend([json.dumps(item)] * (2 if kind > 0.96 else 1))
        return "\n".join(lines[:items]) + "\n"

    def oracle_options(self):
        options = ["--rows-field", "rows", "--dies-field", "dies", "--attempts-limit", "20"]
        if not self.fetch:
            options += ["--same", "total"]
        if self.sink == "key":
            options += ["--unique"]
        return options


PIPELINES = [
    Pipeline("jsonl"),
    Pipeline("csv"),
    Pipeline("key", letters="broker"),
    Pipeline("ledger", letters="broker"),
]
FETCHING = [
    Pipeline("jsonl", fetch=True, letters="broker"),
    Pipeline("csv", fetch=True, letters="broker"),
    Pipeline("key", fetch=True),
    Pipeline("ledger", fetch=True),
]


class Failure(Exception):
    """A run that did not do what it must; its text is for people."""


class Damage(Failure):
    """The run did what it must, but its state is damaged."""


class Setting:
    """What the command line of a suite says."""

    def __init__(self, options):
        self.command = [os.path.abspath(options.weir)]
        self.library = os.path.abspath(options.library)
        self.seed = options.seed
        self.keep = options.keep
        self.broker = f"broker: {{ {options.broker} }}\n" if options.broker else ""
        self.mock_url = None
        base = options.work or ("/dev/shm" if os.access("/dev/shm", os.W_OK) else None)
        # In memory if that can be: a kill does not ask for more than the page cache.
        self.work = os.path.realpath(tempfile.mkdtemp(prefix="weir-crash-", dir=base))

    def can_verify(self):
        """Whether this weir has a store that can be verified."""
        return not self.broker and subprocess.call([*self.command, "state", "--help"], stdin=subprocess.DEVNULL,
                                                   stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) == 0

    def close(self):
        if not self.keep:
            shutil.rmtree(self.work, ignore_errors=True)


class Place:
    """A folder in which a pipeline is run again and again."""

    def __init__(self, setting, name, pipeline, items, batch=16, concurrency=20):
        self.setting, self.pipeline = setting, pipeline
        self.folder = os.path.join(setting.work, name)
        self.log = self.folder + ".log"
        self.errors = self.folder + ".stderr"  # not in the folder: it is not weir's disk
        self.verifies = setting.can_verify()
        os.makedirs(self.folder)
        self.write("pipeline.yaml", pipeline.yaml(batch, concurrency).replace("steps:", setting.broker + "steps:", 1))
        self.write("orders.jsonl", pipeline.source(items, random.Random(f"{setting.seed} {name}")))

    def path(self, name):
        return os.path.join(self.folder, name)

    def write(self, name, text):
        with open(self.path(name), "w", encoding="utf-8") as file:
            file.write(text)

    def said(self):
        """The end of what weir said on stderr."""
        with open(self.errors, encoding="utf-8", errors="replace") as file:
            return file.read()[-400:].strip()

    def empty(self):
        for entry in os.scandir(self.folder):
            if entry.name in OWN:
                continue
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)
        os.mkdir(self.path("out"))

    def environment(self, crash):
        env = {name: value for name, value in os.environ.items() if not name.startswith("CRASH_")}
        if self.setting.mock_url:
            env["MOCK_URL"] = self.setting.mock_url
        if crash:
            env.update(LD_PRELOAD=self.setting.library, CRASH_FOLDER=self.folder, CRASH_LOG=self.log,
                       CRASH_COMM=os.path.basename(self.setting.command[0]))
            env.update({"CRASH_" + name.upper(): str(value) for name, value in crash.items()})
            if os.path.exists(self.log):
                os.unlink(self.log)
        return env

    def start(self, *options, **crash):
        if os.path.exists(self.path("summary.json")):
            os.unlink(self.path("summary.json"))
        with open(self.errors, "wb") as err:
            return subprocess.Popen(
                [*self.setting.command, "run", "pipeline.yaml", "--state", "state", "--summary", "summary.json",
                 "--quiet", *options], cwd=self.folder, env=self.environment(crash), stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL, stderr=err)

    def run(self, *options, **crash):
        """The exit code; KILLED for SIGKILL."""
        process = self.start(*options, **crash)
        try:
            return process.wait(SECONDS_MAX)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise Failure(f"it hangs: no end after {SECONDS_MAX} s") from None

    def log_lines(self):
        try:
            with open(self.log, encoding="utf-8", errors="replace") as file:
                return file.read().splitlines()
        except OSError:
            return []

    def call(self, output, *words, **crash):
        """Another verb of weir, on the state: 0, or KILLED if it was to be."""
        with open(output, "wb") as out, open(self.errors, "wb") as err:
            code = subprocess.call([*self.setting.command, *words, "state"], cwd=self.folder,
                                   env=self.environment(crash), stdin=subprocess.DEVNULL, stdout=out, stderr=err,
                                   timeout=SECONDS_MAX)
        if code and not (crash and code == KILLED):
            kind = Damage if words == ("state", "verify") and code == 74 else Failure
            with open(output, encoding="utf-8", errors="replace") as out:
                raise kind(f"weir {' '.join(words)}: exit code {code}: {self.said()} {out.read()[:300]}")
        return code

    def letters(self):
        """The path of the dead letters."""
        path = self.path("dead.jsonl")
        if self.pipeline.letters == "broker":
            self.call(path, "dead", "export")
        return path

    def judge(self, code, may_be=DONE):
        """The oracle's word on a run that has ended, and that of weir's own check of its store."""
        if code not in may_be:
            raise Failure(f"exit code {code}, expected {' or '.join(map(str, may_be))}: {self.said()}")
        findings = oracle.check(
            ["--source", self.path("orders.jsonl"), "--sink", self.path(TARGETS[self.pipeline.sink]), "--dead",
             self.letters(), "--summary", self.path("summary.json"), "--code", str(code),
             *self.pipeline.oracle_options()])
        if findings:
            raise Failure("; ".join(findings))
        if self.verifies:
            self.call(self.folder + ".verify", "state", "verify")

    def summary(self):
        with open(self.path("summary.json"), encoding="utf-8") as file:
            return json.load(file)

    def finish(self):
        """Runs it to its end, undisturbed, and judges."""
        self.judge(self.run())

    def set_aside(self, label):
        """Keeps what a failed run left."""
        if self.setting.keep:
            to = os.path.join(self.setting.work, "failed-" + label.replace(" ", "-"))
            shutil.copytree(self.folder, to, dirs_exist_ok=True, copy_function=copy_any,
                            ignore=lambda folder, names: [name for name in names if name == "ctl"])
            return to
        return None


def copy_any(source, target):
    if os.path.isfile(source):
        shutil.copy2(source, target)


class Mock:
    """A `weir mock` that lives as long as the suite."""

    def __init__(self, setting, *arguments):
        port_file = os.path.join(setting.work, "mock.port")
        with open(os.path.join(setting.work, "mock.log"), "wb") as log:
            self.process = subprocess.Popen(
                [*setting.command, "mock", "--listen", "127.0.0.1:0", "--port-file", port_file, *arguments],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        end = time.monotonic() + 10
        while not (os.path.exists(port_file) and os.path.getsize(port_file)):
            if time.monotonic() > end:
                self.stop()
                raise SystemExit("weir mock does not start")
            time.sleep(0.02)
        with open(port_file, encoding="ascii") as file:
            setting.mock_url = "http://127.0.0.1:" + file.read().strip()

    def stop(self):
        self.process.kill()
        self.process.wait()


class Group:
    """Tries of one kind: a line of the report, failures shown as they come."""

    SHOWN = 5
    lock = threading.Lock()
    passed = failed = 0

    def __init__(self, name, setting):
        self.name, self.setting = name, setting
        self.tries = self.failures = 0
        self.notes = {}
        self.started = time.monotonic()

    def note(self, what, n=1):
        with self.lock:
            self.notes[what] = self.notes.get(what, 0) + n

    def attempt(self, place, label, work):
        """work() raises Failure when it went wrong."""
        try:
            work()
            failure = None
        except Failure as failed:
            failure = str(failed)
        with self.lock:
            self.tries += 1
            if not failure:
                return True
            self.failures += 1
            if self.failures <= self.SHOWN:
                kept = place.set_aside(f"{self.name} {label}")
                print(f"     {self.name} {label}: {failure}" + (f"\n     kept: {kept}" if kept else ""), flush=True)
        return False

    def end(self):
        good = self.failures == 0
        notes = "".join(f", {n} {what}" for what, n in self.notes.items())
        print(f"{'ok  ' if good else 'FAIL'} {self.name}: {self.tries} tries, {self.failures} wrong{notes} "
              f"({time.monotonic() - self.started:.0f} s)", flush=True)
        with self.lock:
            Group.passed += good
            Group.failed += not good


def verdict(results):
    """Prints how many passed, as the last line of a suite; its exit code."""
    passed = sum(results)
    print(f"{passed} passed, {len(results) - passed} failed")
    return 0 if passed == len(results) else 1


def in_parallel(workers, jobs):
    """Runs jobs (each a function of its worker's number) from one list, on so many threads."""
    jobs = iter(jobs)
    lock = threading.Lock()
    errors = []

    def work(number):
        while not errors:
            with lock:
                job = next(jobs, None)
            if job is None:
                return
            try:
                job(number)
            except BaseException as error:  # what is wrong with the test itself
                errors.append(error)
                raise

    threads = [threading.Thread(target=work, args=(i,)) for i in range(workers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise SystemExit(f"the suite itself failed: {errors[0]!r}")


def add_options(parser):
    build = os.environ.get("WEIR_BUILD", os.path.join(HERE, "..", "..", "build"))
    add = parser.add_argument
    add("--sample", action="store_true", help="a part of it, for scripts/test")
    add("--seed", type=int, default=int(time.time()), help="of the dice; printed, so that a run can be repeated")
    add("--only", action="append", default=[], metavar="NAME", help="only what has this in its name")
    add("--keep", action="store_true", help="keep the folder, and what failed runs left")
    add("--jobs", type=int, default=2, help="runs at once (2)")
    add("--weir", default=os.environ.get("WEIR", os.path.join(build, "weir")), help="the weir to test")
    add("--library", default=os.path.join(build, "tests/crash/weir-crash.so"), help="what stands before the disk")
    add("--broker", metavar="YAML", help="a broker other than the default one, such as 'memory: {}'")
    add("--work", metavar="DIR", help="where to work; default: in memory")
    return parser

