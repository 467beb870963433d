# SPDX-License-Identifier: MIT
"""Random kills, and random mischief between the runs: a run may refuse, but it may never be wrong.

A life is a pipeline that is run again and again: to its end, or until it is killed or stopped after a random time.
Between two runs something may happen to its files: an older copy is put back, a file is added to, cut, replaced,
removed, or a bit of it is flipped.  What the next run may do then:

    resume        and whenever a run says that it is done, the oracle must agree
    refuse        (78, 74, 69, or 4 at its end); then the files are put back as they were before the mischief, and the
                  next run must resume

A bit that a run had no need to read is found by `weir state verify`, which is a refusal like any other.

What nothing could notice is not done: bits are flipped in the state, in the logs of databases, and where a file has a
checksum (its beginning, and the end of what was read or written), not in the middle of the user's own data.
"""
import os
import random
import shutil
import time

import runs
from runs import DONE, KILLED, PIPELINES, STOPPED, TERMINATED, Failure, Group, in_parallel

ITEMS, GROWTH, TAIL = 160, 12, 4096
RUNS_A_LIFE = 12
REFUSED = (4, 69, 74, 78)
STATE = ("state/state.db", "state/state.db-wal")


class Life:
    def __init__(self, place, rng):
        self.place, self.rng = place, rng
        self.moments = []    # copies of all files, oldest first
        self.before = None   # all files before the last mischief, until a run has accepted it
        self.story = []
        self.grown = 0
        self.lost = self.shrunk = False  # the state; the source

    # ---- files

    def names(self):
        """All files that belong to the run, without its pipeline and what only says how it went."""
        found = []
        for folder, _, files in os.walk(self.place.folder):
            found += [os.path.relpath(os.path.join(folder, name), self.place.folder) for name in files]
        return sorted(set(found) - {"pipeline.yaml", "summary.json", "state/lock", "state/ctl"})

    def read(self, name):
        with open(self.place.path(name), "rb") as file:
            return file.read()

    def write(self, name, data):
        """In place: a source that got another inode would be another file."""
        os.makedirs(os.path.dirname(self.place.path(name)), exist_ok=True)
        with open(self.place.path(name), "r+b" if os.path.exists(self.place.path(name)) else "wb") as file:
            file.write(data)
            file.truncate()

    def copy(self):
        return {name: self.read(name) for name in self.names()}

    def put_back(self, moment, names):
        """The named files as they were then; one that was not there then goes."""
        for name in names:
            if name in moment:
                self.write(name, moment[name])
            elif os.path.exists(self.place.path(name)):
                os.unlink(self.place.path(name))

    def sink_names(self):
        target = runs.TARGETS[self.place.pipeline.sink].split(":")[0]
        return [target, target + "-wal", target + "-shm"] if target.endswith(".db") else [target]

    def letter_names(self):
        return ["dead.jsonl"] if self.place.pipeline.letters == "file" else list(STATE)

    def any_names(self):
        return self.rng.choice([list(STATE), self.sink_names(), self.letter_names()])

    # ---- mischief: each returns what it did, or None

    def older(self):
        if not self.moments:
            return None
        names = self.any_names()
        self.put_back(self.rng.choice(self.moments), names)
        return f"older {names[0]}"

    def all_older(self):
        """A backup of everything that weir writes: that is a state of affairs like any other."""
        if not self.moments:
            return None
        names = [*STATE, *self.sink_names(), *self.letter_names()]
        self.put_back(self.rng.choice(self.moments), names)
        return "all older"

    def remove(self):
        names = self.any_names()
        self.put_back({}, names)
        return f"removed {names[0]}"

    def replace(self):
        name = self.any_names()[0]
        self.write(name, self.rng.choice([b"", b'{"id": 1, "total": 3}\n' * 50, self.rng.randbytes(9000)]))
        return f"replaced {name}"

    def grow(self):
        if self.place.pipeline.sink in ("key", "ledger"):
            return None
        name = self.sink_names()[0]
        if not os.path.exists(self.place.path(name)):
            return None
        self.write(name, self.read(name) + b'{"id": "of somebody else"}\n')
        return f"added to {name}"

    def cut(self):
        names = [name for name in (*STATE, *self.sink_names(), *self.letter_names())
                 if os.path.exists(self.place.path(name)) and not name.endswith("-shm")]
        name = self.rng.choice(names) if names else None
        data = self.read(name) if name else b""
        # A database whose own file is cut is its own matter: SQLite has no checksums there.
        if not data or name == "out.db" or name == "out/out.db":
            return None
        self.write(name, data[:self.rng.randrange(len(data))])
        return f"cut {name}"

    def flip(self):
        places = [(name, 0) for name in (*STATE, *(n for n in self.sink_names() if n.endswith("-wal")))]
        places += [(name, TAIL) for name in (*self.sink_names(), *self.letter_names()) if name.endswith((".jsonl", ".csv"))]
        name, tail = self.rng.choice(places)
        data = bytearray(self.read(name)) if os.path.exists(self.place.path(name)) else b""
        if not data:
            return None
        at = self.rng.randrange(max(0, len(data) - tail) if tail else 0, len(data))
        data[at] ^= 1 << self.rng.randrange(8)
        self.write(name, bytes(data))
        return f"flipped a bit of {name} at {at}"

    def source_cut(self):
        data = self.read("orders.jsonl")
        if not data:
            return None
        self.write("orders.jsonl", data[:data.rfind(b"\n", 0, self.rng.randrange(len(data))) + 1])
        return "cut the source"

    def source_head(self):
        """So that its items stay the same, if it should be accepted."""
        data = self.read("orders.jsonl")
        at = data.find(b" ", self.rng.randrange(min(len(data), TAIL // 2) or 1), TAIL)
        if at < 0:
            return None
        self.write("orders.jsonl", data[:at] + b"\t" + data[at + 1:])
        return f"changed the source at {at}"

    MISCHIEF = (older, older, all_older, remove, replace, grow, cut, flip, flip, flip, flip, source_cut, source_head)

    def do_mischief(self):
        self.before = self.before or self.copy()
        now = self.copy()
        what = self.rng.choice(self.MISCHIEF)(self)
        if what and self.keeps_too_much(what):
            self.put_back(now, set(self.names()) | set(now))
        elif what:
            self.story.append(what)

    def keeps_too_much(self, what):
        """A run without a state merges into a table with a key.  If the source has lost lines, too, then the rows of
        these stay there, and rightly so, but the oracle takes them for wrong: only one of the two may happen."""
        state = self.place.path(STATE[0])
        lost = self.lost or not os.path.exists(state) or not os.path.getsize(state)
        shrunk = self.shrunk or what == "cut the source"
        if self.place.pipeline.sink == "key" and lost and shrunk:
            return True
        self.lost, self.shrunk = lost, shrunk
        return False

    def grow_source(self):
        """No mischief: it must be processed."""
        self.grown += 1
        lines = [f'{{"id": {10000 + self.grown * 100 + i}, "rows": 1, "total": {3 * (10000 + self.grown * 100 + i)}}}\n'
                 for i in range(GROWTH)]
        self.write("orders.jsonl", self.read("orders.jsonl") + "".join(lines).encode())
        if self.before:
            self.before["orders.jsonl"] += "".join(lines).encode()
        self.story.append("grew the source")

    # ---- runs

    def run(self, group):
        """One run, ended at random.  True: it was done."""
        process = self.place.start()
        wait = self.rng.choice([None, None, self.rng.uniform(0.01, 0.2), self.rng.uniform(0.03, 0.1)])
        gently = self.rng.random() < 0.3
        try:
            code = process.wait(wait if wait else runs.SECONDS_MAX)
        except runs.subprocess.TimeoutExpired:
            if not wait:
                process.kill()
                process.wait()
                raise Failure(f"it hangs: {self.story}") from None
            process.terminate() if gently else process.kill()
            code = process.wait()
        self.story.append(f"ran: {code}")
        group.note("runs")
        if code in REFUSED:
            self.take_refusal(group, code)
            return False
        if code in DONE:
            return self.judge(group, code)
        if code not in (KILLED, TERMINATED, STOPPED):
            raise Failure(f"exit code {code}: {self.story}: {self.place.said()}")
        if code == KILLED:
            group.note("kills")
        return False

    def judge(self, group, code):
        """Whether all is well.  False: the run is, but not its state after the last mischief, which is put back."""
        try:
            self.place.judge(code)
        except Failure as failure:
            if not self.before or not isinstance(failure, runs.Damage):
                raise Failure(f"{failure}: {self.story}") from None
            self.take_refusal(group, 74)
            return False
        self.before = None
        return True

    def take_refusal(self, group, code):
        if not self.before:
            raise Failure(f"exit code {code} without mischief: {self.story}: {self.place.said()}")
        if not self.place.said():
            raise Failure(f"refused without a word: {self.story}")
        group.note("refusals")
        source = self.read("orders.jsonl")
        for name in set(self.names()) | set(self.before):
            self.put_back(self.before, [name])
        # What was refused because of the source is put back, what is new in it stays.
        if len(source) > len(self.before["orders.jsonl"]) and source.startswith(self.before["orders.jsonl"]):
            self.write("orders.jsonl", source)
        self.before = None
        self.story.append("put back")

    def live(self, group):
        shutil.rmtree(self.place.path("state"), ignore_errors=True)
        self.place.empty()
        self.write("orders.jsonl", self.source)
        for _ in range(RUNS_A_LIFE):
            done = self.run(group)
            if self.rng.random() < 0.4:
                self.moments.append(self.copy())
            if self.rng.random() < (0.5 if done else 0.15):
                self.grow_source()
            if self.rng.random() < 0.6:
                self.do_mischief()
        done = False
        while not done:
            code = self.place.run()
            self.story.append(f"ran: {code}")
            if code in REFUSED:
                self.take_refusal(group, code)
            else:
                done = self.judge(group, code)


def run(suite):
    """Lives until there were enough runs."""
    wanted = 60 if suite.sample else suite.options.runs
    group = Group("mischief", suite.setting)
    places, number = {}, 0

    def job_of(number):
        pipeline = PIPELINES[number % len(PIPELINES)]
        rng = random.Random(f"{suite.options.seed} mischief {number}")

        def job(worker):
            place = suite.place(worker, pipeline, ITEMS)
            life = Life(place, rng)
            key = (worker, pipeline.name)
            life.source = places.setdefault(key, life.read("orders.jsonl"))
            group.attempt(place, f"life {number} of {pipeline.name}", lambda: life.live(group))
        return job

    started = time.monotonic()
    while group.notes.get("runs", 0) < wanted and group.failures < Group.SHOWN:
        batch = 4 if suite.sample else 16
        in_parallel(suite.options.jobs, [job_of(number + i) for i in range(batch)])
        number += batch
        if time.monotonic() - started > 3600:
            break
    group.end()
