# SPDX-License-Identifier: MIT
"""Kills weir wherever a disk changes, and at random, and lets it go on: nothing may be lost or doubled.

points    one run counts the calls that change the disk or make a change last (disk.h); then for each of them: a fresh
          folder, a run that is killed before that call, and a second one to the end
half      the same for writes, of which half of the bytes still went out
recovery  pairs: the second run is killed, too, at a call of its own; a third one goes to the end
eio       a sync fails (also so that what was written is gone): exit code 74 where that matters, and the next run is
          exact
enospc    the disk is full for a while: the run goes on when there is room (or, when it is opened, gives up)
fresh     a run that is done is begun anew and killed: what the next one leaves is whole, the old or the new
replay    dead letters are sent round again, and that is killed
mischief  (with --mischief, alone) random kills with files restored, cut, replaced or damaged in between: mischief.py
random    long runs against a live upstream, killed about 20 times each at random times, or stopped by SIGTERM

After each the oracle has the last word.  A run counts its calls anew and threads take turns as they like, so call n is
not the same one each time; over all n every call is met, and each failure says which one it was.
"""
import argparse
import random
import subprocess
import sys
import time

import mischief
import runs
from runs import DONE, FETCHING, KILLED, PIPELINES, STOPPED, TERMINATED
from runs import Failure, Group, Mock, Place, Setting, in_parallel

ITEMS, LONG_ITEMS = 300, 20000
KILLS_A_RUN = 20


def must_notice(hit, share):
    """Whether a run whose sync failed must end with 74.  SQLite passes over a folder's sync that fails, and over what
    fails when it is closed, since what is committed is safe in its log."""
    return "out.jsonl" in hit or "out.csv" in hit or "dead.jsonl" in hit or ("-wal" in hit and share < 0.7)


class Suite:
    def __init__(self, options, setting):
        self.options, self.setting = options, setting
        self.rng = random.Random(options.seed)
        self.sample = options.sample
        self.density = 1  # how many times more than a sample usually is
        self.places = {}

    def wanted(self, name):
        return not self.options.only or any(part in name for part in self.options.only)

    def place(self, worker, pipeline, items=ITEMS, batch=16):
        """Each worker has a folder of its own for each pipeline."""
        key = (worker, pipeline.name, items)
        if key not in self.places:
            concurrency = 100 if items > ITEMS else 20
            self.places[key] = Place(self.setting, f"{pipeline.name}-{items}-{worker}", pipeline, items, batch,
                                     concurrency)
        return self.places[key]

    def pick(self, numbers, n):
        """All of them; of a sample n, spread over the whole."""
        numbers = list(numbers)
        n *= self.density
        if not self.sample or len(numbers) <= n:
            return numbers
        step = len(numbers) / n
        return [numbers[min(int(i * step + self.rng.random() * step), len(numbers) - 1)] for i in range(n)]

    def count(self, pipeline):
        """The calls of an undisturbed run, a line each."""
        place = self.place(0, pipeline)
        place.empty()
        code = place.run(mode="count")
        lines = place.log_lines()
        place.judge(code)
        return lines

    # The suites: of one pipeline each.

    def kill_and_finish(self, group, pipeline, label, crashes):
        """A job: a run for each of crashes, then one to the end."""
        def job(worker):
            place = self.place(worker, pipeline)
            place.empty()

            def work():
                hits = []
                for crash in crashes:
                    code = place.run(**crash)
                    if code == KILLED:
                        hits.append(" ".join(place.log_lines()[-1:]))
                        group.note("kills")
                    elif code not in DONE:
                        raise Failure(f"exit code {code} of a run that was not killed {hits}: "
                                      f"{place.said()}")
                try:
                    place.finish()
                except Failure as failure:
                    raise Failure(f"killed at {hits}: {failure}") from None
            group.attempt(place, label, work)
        return job

    def points(self, pipeline, lines):
        group = Group(f"{pipeline.name} points", self.setting)
        numbers = self.pick(range(1, len(lines) + 1), 12)
        in_parallel(self.options.jobs, [self.kill_and_finish(group, pipeline, str(n), [{"mode": "kill", "at": n}])
                                        for n in numbers])
        group.end()

    def half(self, pipeline, lines):
        group = Group(f"{pipeline.name} half", self.setting)
        numbers = self.pick([n for n, line in enumerate(lines, 1) if " write " in line], 6)
        in_parallel(self.options.jobs, [self.kill_and_finish(group, pipeline, str(n), [{"mode": "half", "at": n}])
                                        for n in numbers])
        group.end()

    def recovery(self, pipeline, lines):
        group = Group(f"{pipeline.name} recovery", self.setting)
        jobs = []
        for _ in range(6 if self.sample else 150):
            first = self.rng.randint(1, len(lines))
            # The calls of recovery itself are the first ones of the second run.
            second = self.rng.randint(1, 40 if self.rng.random() < 0.7 else len(lines))
            modes = [self.rng.choice(["kill", "half"]) for _ in range(2)]
            jobs.append(self.kill_and_finish(group, pipeline, f"{modes[0]} {first} {modes[1]} {second}",
                                             [{"mode": modes[0], "at": first}, {"mode": modes[1], "at": second}]))
        in_parallel(self.options.jobs, jobs)
        group.end()

    def eio(self, pipeline, lines):
        group = Group(f"{pipeline.name} eio", self.setting)
        syncs = sum(" sync" in line for line in lines)

        def job_of(n, drop):
            def job(worker):
                place = self.place(worker, pipeline)
                place.empty()

                def work():
                    code = place.run(mode="eio", at=n, drop=drop)
                    hit = " ".join(place.log_lines()[-1:])
                    if code not in (*DONE, 74) or (code != 74 and must_notice(hit, n / syncs)):
                        raise Failure(f"exit code {code} after a sync that failed ({hit}), expected 74: "
                                      f"{place.said()}")
                    group.note("exits with 74", code == 74)
                    try:
                        place.finish()
                    except Failure as failure:
                        raise Failure(f"sync failed at {hit}: {failure}") from None
                group.attempt(place, f"{n} drop {drop}", work)
            return job
        in_parallel(self.options.jobs, [job_of(n, drop) for n in self.pick(range(1, syncs + 1), 3) for drop in (0, 1)])
        group.end()

    def enospc(self, pipeline, lines):
        group = Group(f"{pipeline.name} enospc", self.setting)
        writes = sum(" write " in line for line in lines)
        numbers = self.pick(range(1, writes + 1), 4) if self.sample else range(1, writes + 1, 4)

        def job_of(n, times):
            # When it is opened on a full disk it may give up; in the midst of its work it may not.
            may_be = DONE if 0.3 < n / writes < 0.8 else (*DONE, 69, 74)

            def job(worker):
                place = self.place(worker, pipeline)
                place.empty()

                def work():
                    code = place.run(mode="enospc", at=n, **{"for": times})
                    hit = " ".join(place.log_lines()[:1])
                    group.note("went on", code in DONE)
                    group.note("stopped", code not in DONE)
                    try:
                        if code not in may_be:
                            raise Failure(f"exit code {code}: {place.said()}")
                        if code in DONE:
                            place.judge(code)
                        else:
                            place.finish()
                    except Failure as failure:
                        raise Failure(f"disk full at {hit}, {times} calls: {failure}") from None
                group.attempt(place, f"{n} for {times}", work)
            return job
        in_parallel(self.options.jobs, [job_of(n, self.rng.randint(1, 3)) for n in numbers])
        group.end()

    def after_done(self, name, pipeline, disturb):
        """Tries of disturb(place, crash) on a run that is done, killed at each of its calls in turn."""
        group = Group(f"{pipeline.name} {name}", self.setting)
        place = self.place(0, pipeline)
        place.empty()
        place.finish()
        disturb(place, {"mode": "count"})
        numbers = self.pick(range(1, len(place.log_lines()) + 1), 6)

        def job_of(n, mode):
            def job(worker):
                place = self.place(worker, pipeline)
                place.empty()

                def work():
                    place.finish()
                    if disturb(place, {"mode": mode, "at": n}) == KILLED:
                        group.note("kills")
                    hit = " ".join(place.log_lines()[-1:])
                    try:
                        place.finish()
                    except Failure as failure:
                        raise Failure(f"killed at {hit}: {failure}") from None
                group.attempt(place, f"{mode} {n}", work)
            return job
        in_parallel(self.options.jobs, [job_of(n, self.rng.choice(["kill", "half"])) for n in numbers])
        group.end()

    def fresh(self, pipeline, lines):
        del lines
        # A table without a key is appended to by each run that is begun.
        if pipeline.sink != "ledger" and not self.options.broker:
            self.after_done("fresh", pipeline, lambda place, crash: place.run("--fresh=discard", **crash))

    def replay(self, pipeline, lines):
        del lines
        if pipeline.letters == "broker" and not self.options.broker:
            self.after_done("replay", pipeline,
                            lambda place, crash: place.call(place.folder + ".out", "dead", "replay", **crash))

    def random_kills(self, pipeline):
        """Runs one after the other, each killed again and again, until there were enough kills."""
        group = Group(f"{pipeline.name} random", self.setting)
        items = 4000 if self.sample else LONG_ITEMS
        wanted = 8 if self.sample else self.options.kills
        each = min(KILLS_A_RUN, wanted)
        took = self.measure(pipeline, items)

        def job_of(number, kills, seed):
            rng = random.Random(seed)

            def job(worker):
                place = self.place(worker, pipeline, items, 64)
                place.empty()

                def work():
                    times = []
                    for _ in range(kills):
                        # Some die at once, most in the midst of it.
                        wait = rng.uniform(0, 0.1) if rng.random() < 0.2 else rng.uniform(0.05, 0.1 + took / kills)
                        code = self.end_after(place, wait, rng.random() < 0.1)
                        times.append(f"{wait:.3f}" + (" drained" if code == STOPPED else ""))
                        if code in DONE:
                            break
                        if code in (KILLED, TERMINATED):
                            group.note("kills")
                        else:
                            place.judge(code, (STOPPED,))
                            group.note("drains")
                    try:
                        place.finish()
                    except Failure as failure:
                        raise Failure(f"killed after {times} s: {failure}") from None
                group.attempt(place, f"run {number}", work)
            return job
        number = 0
        while group.notes.get("kills", 0) < wanted and not group.failures:
            left = wanted - group.notes.get("kills", 0)
            batch = max(1, min(10, left // each))
            jobs = [job_of(number + i, each, f"{self.options.seed} {pipeline.name} {number + i}") for i in range(batch)]
            number += batch
            in_parallel(self.options.jobs, jobs)
        group.end()

    @staticmethod
    def end_after(place, wait, gently):
        """A run that is ended after a while, unless it ends before: its exit code.  Gently: as people do, by SIGTERM,
        and then its accounts must say what is unfinished."""
        process = place.start()
        try:
            return process.wait(wait)
        except subprocess.TimeoutExpired:
            if gently:
                process.terminate()
            else:
                process.kill()
            return process.wait()

    def measure(self, pipeline, items):
        place = self.place(0, pipeline, items, 64)
        place.empty()
        started = time.monotonic()
        place.finish()
        return time.monotonic() - started

    def run_counted(self, pipeline):
        suites = [suite for suite in (self.points, self.half, self.recovery, self.eio, self.enospc, self.fresh,
                                  self.replay)
                  if self.wanted(f"{pipeline.name} {suite.__name__}")]
        if not suites:
            return
        try:
            lines = self.count(pipeline)
        except Failure as failure:
            Group.failed += 1
            print(f"FAIL {pipeline.name}: an undisturbed run: {failure}", flush=True)
            return
        for suite in suites:
            try:
                suite(pipeline, lines)
            except Failure as failure:
                Group.failed += 1
                print(f"FAIL {pipeline.name} {suite.__name__}: undisturbed: {failure}", flush=True)

    def run(self):
        mock = Mock(self.setting, "--latency", "1ms..4ms", "--errors", "3%", "--seed", str(self.options.seed))
        try:
            print(f"seed {self.options.seed}, in {self.setting.work}", flush=True)
            if self.options.mischief or (self.sample and self.wanted("mischief")):
                mischief.run(self)
            if self.options.mischief:
                return self.result()
            for pipeline in PIPELINES + FETCHING[:1]:
                self.run_counted(pipeline)
            for pipeline in FETCHING:
                if self.wanted(f"{pipeline.name} random"):
                    try:
                        self.random_kills(pipeline)
                    except Failure as failure:
                        Group.failed += 1
                        print(f"FAIL {pipeline.name}: an undisturbed run: {failure}", flush=True)
        finally:
            mock.stop()
            self.setting.close()
        return self.result()

    def result(self):
        if not Group.passed and not Group.failed:
            print(f"crash: no group has {' or '.join(self.options.only or [])} in its name", file=sys.stderr)
            Group.failed += 1
        print(f"{Group.passed} passed, {Group.failed} failed")
        return 1 if Group.failed else 0


def main():
    parser = argparse.ArgumentParser(prog="crash", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    runs.add_options(parser)
    parser.add_argument("--kills", type=int, default=1000, help="random ones of each sink (1000)")
    parser.add_argument("--mischief", action="store_true", help="only that: kills, and mischief between the runs")
    parser.add_argument("--runs", type=int, default=2000, help="of weir, with --mischief (2000)")
    options = parser.parse_args()
    return Suite(options, Setting(options)).run()


if __name__ == "__main__":
    sys.exit(main())
