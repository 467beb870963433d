# SPDX-License-Identifier: MIT
"""Cuts the power: many disks from the log of one run, each started from again, none may lose or double anything.

A run is recorded (disk.h) to its end.  A crash state is a point of that log and a choice of what had reached the disk
there (disk_model.py); it is laid out in the run's own folder, with the inodes the files had, since a program may know
its files by them.  Then weir goes on from it to the end and the oracle judges.  Every fifth of those runs is recorded,
too, and a second power cut falls into it.  After some states the run is recorded anew, as threads take turns anew.

The dice come from the seed, the name of the pipeline and the number of the recording, so a state can be had again as
far as the threads allow; --keep keeps what is needed to look at it.
"""
import argparse
import os
import random
import sys

import runs
from disk_model import BYTE_WAYS, NAME_WAYS, OP_NAMES, disk_after, read_log
from runs import OWN, PIPELINES, Failure, Group, Place, Setting, in_parallel

ITEMS = 160
STATES_OF_A_RECORDING = 40
SECOND_CUTS = 0.2
NOT_WEIRS = ("-shm", "summary.json")  # mapped memory, which SQLite makes anew; and nobody goes on from a summary
STATES = {"jsonl": 700, "csv": 300, "key": 500, "ledger": 700}


class Recorded:
    """A place whose disk can be put back."""

    def __init__(self, setting, name, pipeline):
        self.place = Place(setting, name, pipeline, ITEMS, batch=8)
        self.kept = self.place.folder + ".kept"  # a second name for each file that was there, by inode
        os.makedirs(self.kept)

    def look(self):
        """The folder as an image."""
        image = {}
        for folder, names, files in os.walk(self.place.folder):
            below = os.path.relpath(folder, self.place.folder)
            below = "" if below == "." else below + "/"
            for name in names:
                image[below + name] = None
            for name in files:
                path = os.path.join(folder, name)
                if below + name in OWN or name == "summary.json":
                    continue
                if os.path.isfile(path):
                    with open(path, "rb") as file:
                        image[below + name] = (os.fstat(file.fileno()).st_ino, file.read())
        return image

    def keep(self):
        for path, thing in self.look().items():
            if thing and not os.path.exists(self.kept_path(thing[0])):
                os.link(self.place.path(path), self.kept_path(thing[0]))

    def kept_path(self, inode):
        return os.path.join(self.kept, str(inode))

    def forget(self):
        for entry in os.scandir(self.kept):
            os.unlink(entry.path)

    def lay_out(self, image):
        """The other way round: the folder is as the image says."""
        self.place.empty()
        for path in sorted(image):
            target = self.place.path(path)
            if path in OWN:
                continue
            if image[path] is None:
                os.makedirs(target, 0o700, exist_ok=True)
                continue
            inode, data = image[path]
            if os.path.exists(self.kept_path(inode)):
                os.link(self.kept_path(inode), target)
            with open(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as file:
                file.write(data)

    def record(self, before):
        """Runs to the end: the exit code and the log, which must account for all that is on the disk now."""
        code = self.place.run(mode="record")
        ops = read_log(self.place.log)
        told, there = disk_after(before, ops).cut("all", "all", random), self.look()
        for path in sorted(set(told) | set(there)):
            if not path.endswith(NOT_WEIRS) and told.get(path) != there.get(path):
                raise Failure(f"the log does not account for {path}: something writes unseen")
        return code, ops


def describe(ops, at, ways):
    last = ops[at - 1] if at else None
    text = f"{OP_NAMES[last.op]} {last.path or '.'} at {last.offset}, {len(last.data)} bytes" if last else "the start"
    return f"cut after call {at} of {len(ops)} ({text}), bytes {ways[0]}, names {ways[1]}"


class Suite:
    def __init__(self, options, setting):
        self.options, self.setting = options, setting
        self.places = {}

    def recorded(self, worker, pipeline):
        key = (worker, pipeline.name)
        if key not in self.places:
            self.places[key] = Recorded(self.setting, f"{pipeline.name}-{worker}", pipeline)
        return self.places[key]

    def cut_and_go_on(self, recorded, image, ops, rng, group, label):
        """One state, or two with a second cut."""
        place = recorded.place
        at, ways = rng.randint(0, len(ops)), (rng.choice(BYTE_WAYS), rng.choice(NAME_WAYS))
        left = disk_after(image, ops[:at]).cut(*ways, rng)
        again = rng.random() < SECOND_CUTS
        told = [describe(ops, at, ways)]
        log = []

        def go_on():
            recorded.lay_out(left)
            if not again:
                self.judge(place, place.run(), told)
                return
            before = recorded.look()
            recorded.keep()
            code, more = recorded.record(before)
            recorded.keep()
            self.judge(place, code, told)
            log.extend([before, more])

        def second_cut():
            before, more = log
            at2, ways2 = rng.randint(0, len(more)), (rng.choice(BYTE_WAYS), rng.choice(NAME_WAYS))
            told.append("then " + describe(more, at2, ways2))
            recorded.lay_out(disk_after(before, more[:at2]).cut(*ways2, rng))
            self.judge(place, place.run(), told)
        if group.attempt(place, label, go_on) and log:
            group.attempt(place, label + " twice", second_cut)

    @staticmethod
    def judge(place, code, told):
        try:
            place.judge(code)
        except Failure as failure:
            raise Failure(f"{', '.join(told)}: {failure}") from None

    def recording(self, group, pipeline, number, states):
        """A job: one recording and its states."""
        def job(worker):
            recorded = self.recorded(worker, pipeline)
            place = recorded.place
            place.empty()
            recorded.forget()
            rng = random.Random(f"{self.options.seed} {pipeline.name} {number}")
            before, ops = recorded.look(), []

            def record():
                code, log = recorded.record(before)
                recorded.keep()
                place.judge(code)
                ops.extend(log)

            def cut_after_the_end():
                told = ["cut after the end, all that was not synced is gone"]
                recorded.lay_out(disk_after(before, ops).cut("none", "none", rng))
                self.judge(place, place.run(), told)
                if not place.summary().get("was_done", True):
                    raise Failure(f"{told[0]}: it was done, and does not know")
            if not group.attempt(place, f"{number}", record):
                return
            group.note("recordings")
            group.attempt(place, f"{number} end", cut_after_the_end)
            for i in range(states):
                self.cut_and_go_on(recorded, before, ops, rng, group, f"{number}.{i}")
        return job

    def run_pipeline(self, pipeline):
        group = Group(f"{pipeline.name} power cuts", self.setting)
        states = self.options.states or (10 if self.options.sample else STATES[pipeline.name])
        each = min(STATES_OF_A_RECORDING, (states + 1) // 2)
        in_parallel(self.options.jobs, [self.recording(group, pipeline, i, min(each, states - i * each))
                                        for i in range((states + each - 1) // each)])
        group.end()

    def run(self):
        print(f"seed {self.options.seed}, in {self.setting.work}", flush=True)
        try:
            for pipeline in PIPELINES:
                if not self.options.only or any(part in pipeline.name for part in self.options.only):
                    self.run_pipeline(pipeline)
        finally:
            self.setting.close()
        print(f"{Group.passed} passed, {Group.failed} failed")
        return 1 if Group.failed else 0


def main():
    parser = argparse.ArgumentParser(prog="powercut", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    runs.add_options(parser)
    parser.add_argument("--states", type=int, help="crash states of each sink (2,200 over all)")
    options = parser.parse_args()
    return Suite(options, Setting(options)).run()


if __name__ == "__main__":
    sys.exit(main())
