#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Kills runs into PostgreSQL, the server, and connections, until the runs are done; then asks the oracle.

A try is a source of some items that is worked off by run after run, each killed at a random moment, over a fresh table.
What is disturbed differs by group:

    key, ledger     weir is killed
    pool            the same behind PgBouncer, which gives each transaction another session
    server          the server is killed with SIGKILL as well, and started again
    held            the same when it has committed, and its answer is still on the way
    answers         a proxy throws the answers to commits away
    two             two pipelines write one table with a key at a time, their keys in opposite order, and both are
                    killed; it must have come to deadlocks
    sends           of a short source: weir is killed before, amid and after each single call that writes to the server
    source          the rows come from the server: a transaction there never lasts longer than a page

For how it is called see scripts/pgcrash.
"""
import argparse
import os
import random
import signal
import subprocess
import sys
import time

from pgplace import ROOT, Place, Work
from pgsource import RowsSource
from runs import in_parallel, verdict

TRY_KILLS = 12  # then a run goes to its end
MODES = ("kill", "half", "after")  # of disk.h
DONE = (0, 3)


def end(runs):
    """Waits for runs to end; whether all have done their work."""
    said = [run.communicate()[1].decode() for run in runs]
    codes = [run.returncode for run in runs]
    for code, text in zip(codes, said):
        if code not in (*DONE, -signal.SIGKILL, 69):
            raise RuntimeError(f"exit code {code}: {text}")
    return all(code in DONE for code in codes)


def kill(runs):
    """Those that have not ended; how many."""
    left = [run for run in runs if run.poll() is None]
    for run in left:
        run.send_signal(signal.SIGKILL)
    return len(left)


class Suite:
    """Its groups are functions of a place: what they have to say, and what is wrong."""

    def __init__(self, options):
        self.options = options
        self.rng = random.Random(options.seed)
        self.places = {}  # each worker's
        self.results = []

    def wait_a_while(self):
        time.sleep(self.rng.random() ** 2 * 0.6 + 0.02)

    # What happens to the runs of a group beside being killed: whether it did.

    def restart_server(self, place, runs):
        del runs
        self.wait_a_while()
        place.restart_server()
        return True

    def restart_after_commit(self, place, runs):
        self.wait_a_while()
        place.write("proxy/hold", "")
        while not os.path.exists(place.path("proxy/held")):
            if all(run.poll() is not None for run in runs):
                place.remove("proxy/hold")
                return False
            time.sleep(0.002)
        place.restart_server()
        place.remove("proxy/held")
        return True

    def one_try(self, place, work, disturb, kills):
        """Kills the runs until they are done or have been killed often enough; how often it was.  Of those that are
        disturbed some go on, and what is counted is how often they were."""
        done, ends = False, 0
        place.begin(work)
        while not done:
            runs = [place.run(name) for name in work.names]
            if ends < min(kills, TRY_KILLS):
                disturbed = disturb(place, runs) if disturb else 0
                self.wait_a_while()
                killed = kill(runs) if not disturb or self.rng.random() < 0.7 else 0
                ends += disturbed if disturb else killed
            done = end(runs)
        return ends, place.judge(work)

    def tries(self, work, kills, disturb=None):
        """Tries until there were so many kills; None: no tries."""
        def test(place):
            done, tries, findings, before = 0, 0, [], place.deadlocks()
            while done < kills and not findings:
                ends, findings = self.one_try(place, work, disturb, kills - done)
                done += max(ends, 1)
                tries += 1
            deadlocks = place.deadlocks() - before
            if len(work.names) > 1 and not deadlocks:
                findings.append("there was no deadlock: this has proved nothing")
            return f"killed {done} times in {tries} tries" + (f", {deadlocks} deadlocks" if deadlocks else ""), findings
        return test if kills else None

    # Every call that writes to the server.

    @staticmethod
    def crash_at(place, work, mode, at):
        """A run that is killed at a call, and one to the end: whether it was, and what is wrong."""
        place.begin(work)
        run = place.run(work.names[0], mode=mode, at=at, port=place.port(work))
        if not end([run]):
            end([place.run(work.names[0])])
        return (run.returncode == -signal.SIGKILL,
                [f"{mode} {at}, {place.calls()[-1:]}: {finding}" for finding in place.judge(work)])

    def sends(self, work):
        def test(place):
            killed, findings = self.crash_at(place, work, "count", 0)
            calls = len(place.calls())
            points = [(mode, at) for at in range(1, calls + 1) for mode in MODES]
            for mode, at in self.rng.sample(points, 2) if self.options.sample else points:
                was_killed, found = self.crash_at(place, work, mode, at)
                killed += was_killed
                findings += found
            if not killed:
                findings.append("nothing was killed")
            return f"killed {killed} times at {calls} calls", findings
        return test

    # Rows that come from the server.

    def source(self, rows, kills):
        def test(place):
            source, done, killed = RowsSource(place, rows), False, 0
            while not done:
                run = source.run()
                if killed < kills:
                    goal = source.share_written() + self.rng.random() / kills
                    while run.poll() is None and source.share_written() < goal:
                        time.sleep(0.005)
                    killed += kill([run])
                done = end([run])
            findings = source.judge()
            return f"{rows} rows, killed {killed} times; {source.told()}", findings
        return test

    def groups(self):
        """Name and test, or None; the long ones first."""
        options, kills = self.options, self.options.kills
        held = (options.server_kills + 2) // 5
        restarts = options.server_kills - held
        yield "source", self.source(options.rows, options.source_kills)
        yield "two", self.tries(Work(key=True, names=("orders", "back"), items=600, dies_each=50), kills // 6)
        yield "sends, answers", self.sends(Work(items=200, by="proxy"))
        for name, key in (("key", True), ("ledger", False)):
            yield "sends, " + name, self.sends(Work(key=key, items=200, makes_table=True))
            yield "server, " + name, self.tries(Work(key=key), (restarts + key) // 2, self.restart_server)
            yield "held, " + name, self.tries(Work(key=key, by="proxy"), (held + key) // 2, self.restart_after_commit)
            yield name, self.tries(Work(key=key), kills // 3)
            yield "pool, " + name, self.tries(Work(key=key, by="pool"), kills // 12)
            yield "answers, " + name, self.tries(Work(key=key, by="proxy"), kills // 12)

    def job_of(self, name, test):
        def job(worker):
            started = time.monotonic()
            try:
                if worker not in self.places:
                    self.places[worker] = Place(self.options)
                text, findings = test(self.places[worker])
            except (RuntimeError, subprocess.CalledProcessError) as bad:
                text, findings = "", [str(bad)]
            self.results.append(not findings)
            print(f"{'FAIL' if findings else 'ok  '} {name}: {text} ({time.monotonic() - started:.0f} s)", *findings,
                  sep="\n     ", flush=True)
        return job

    def run(self):
        print(f"seed {self.options.seed}", flush=True)
        only = self.options.only
        in_parallel(self.options.jobs, [self.job_of(name, test) for name, test in self.groups()
                                        if test and (not only or any(part in name for part in only))])
        return verdict(self.results)


def main():
    build = os.environ.get("WEIR_BUILD", ROOT + "/build")
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--server-kills", type=int, default=50)
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", action="append")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--weir", default=os.path.join(build, "weir"))
    parser.add_argument("--library", default=os.path.join(build, "tests/crash/weir-crash.so"))
    options = parser.parse_args()
    options.source_kills = 20
    if options.sample:
        options.kills, options.server_kills, options.rows, options.source_kills = 30, 3, 10000, 3
    options.weir, options.library = os.path.abspath(options.weir), os.path.abspath(options.library)
    os.environ["PGCONNECT_TIMEOUT"] = "60"  # a machine that runs tests is busy
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    return Suite(options).run()


if __name__ == "__main__":
    sys.exit(main())
