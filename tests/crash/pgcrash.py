#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Kills runs into PostgreSQL, the server, and connections, until the runs are done; then asks the oracle.

A try is a source of some items that is worked off by run after run, each killed at a random moment, over a fresh table. What
is disturbed differs by group:

    key, ledger     weir is killed
    pool            the same behind PgBouncer, which gives each transaction another session
    server          the server is killed with SIGKILL as well, and started again
    held            the same when it has committed, and its answer is still on the way
    answers         a proxy throws the answers to commits away
    two             two pipelines write one table with a key at a time, their keys in opposite order, and both are killed;
                    it must have come to deadlocks
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

TRY_KILLS = 12  # then a run goes to its end
MODES = ("kill", "half", "after")  # of disk.h
DONE = (0, 3)


class Suite:
    def __init__(self, options):
        self.options = options
        self.rng = random.Random(options.seed)
        self.place = Place(options)
        self.passed = self.failed = 0

    def wanted(self, name):
        return not self.options.only or any(only in name for only in self.options.only)

    def wait_a_while(self):
        time.sleep(self.rng.random() ** 2 * 0.6 + 0.02)

    @staticmethod
    def end(runs):
        """Waits for runs to end; whether all have done their work."""
        said = [run.communicate()[1].decode() for run in runs]
        codes = [run.returncode for run in runs]
        for code, text in zip(codes, said):
            if code not in (*DONE, -signal.SIGKILL, 69):
                raise RuntimeError(f"exit code {code}: {text}")
        return all(code in DONE for code in codes)

    @staticmethod
    def kill(runs):
        """Those that have not ended; how many."""
        left = [run for run in runs if run.poll() is None]
        for run in left:
            run.send_signal(signal.SIGKILL)
        return len(left)

    # What happens to the runs of a group beside being killed: whether it did.

    def restart_server(self, runs):
        del runs
        self.wait_a_while()
        self.place.restart_server()
        return True

    def restart_after_commit(self, runs):
        self.wait_a_while()
        self.place.write("proxy/hold", "")
        while not os.path.exists(self.place.path("proxy/held")):
            if all(run.poll() is not None for run in runs):
                self.place.remove("proxy/hold")
                return False
            time.sleep(0.002)
        self.place.restart_server()
        self.place.remove("proxy/held")
        return True

    def one_try(self, work, disturb, kills):
        """Kills the runs until they are done or have been killed often enough; how often it was."""
        place, done, ends = self.place, False, 0
        place.begin(work)
        while not done:
            runs = [place.run(name) for name in work.names]
            if disturb:
                ends += disturb(runs)
            self.wait_a_while()
            if ends < min(kills, TRY_KILLS):
                killed = self.kill(runs)
                ends += 0 if disturb else killed
            done = self.end(runs)
        return ends, place.judge(work)

    def group(self, name, work, kills, disturb=None):
        """Tries until there were so many kills."""
        if not kills or not self.wanted(name):
            return
        done, tries, findings, before = 0, 0, [], self.place.deadlocks()
        try:
            while done < kills and not findings:
                ends, findings = self.one_try(work, disturb, kills - done)
                done += max(ends, 1)
                tries += 1
        except (RuntimeError, subprocess.CalledProcessError) as bad:
            findings = [str(bad)]
        deadlocks = self.place.deadlocks() - before
        if len(work.names) > 1 and not deadlocks:
            findings.append("there was no deadlock: this has proved nothing")
        self.tell(name, f"killed {done} times in {tries} tries" + (f", {deadlocks} deadlocks" if deadlocks else ""),
                  findings)

    def tell(self, name, text, findings):
        self.passed += not findings
        self.failed += bool(findings)
        print(f"{'FAIL' if findings else 'ok  '} {name}: {text}", *findings, sep="\n     ", flush=True)

    # Every call that writes to the server.

    def crash_at(self, work, mode, at):
        """A run that is killed at a call, and one to the end: whether it was, and what is wrong."""
        self.place.begin(work)
        port = (work.url or self.place.url).rpartition(":")[2].partition("/")[0]
        runs = [self.place.run(work.names[0], mode=mode, at=at, port=port)]
        done = self.end(runs)
        killed = runs[0].returncode == -signal.SIGKILL
        if not done:
            self.end([self.place.run(work.names[0])])
        findings = self.place.judge(work)
        return killed, [f"{mode} {at}, {self.place.calls()[-1:]}: {finding}" for finding in findings]

    def sends(self, name, work):
        if not self.wanted(name):
            return
        killed, findings = 0, []
        try:
            findings = self.crash_at(work, "count", 0)[1]
            calls = len(self.place.calls())
            points = [(mode, at) for at in range(1, calls + 1) for mode in MODES]
            for mode, at in self.rng.sample(points, 3) if self.options.sample else points:
                was_killed, found = self.crash_at(work, mode, at)
                killed += was_killed
                findings += found
        except (RuntimeError, subprocess.CalledProcessError) as bad:
            findings.append(str(bad))
        if not killed:
            findings.append("nothing was killed")
        self.tell(name, f"killed {killed} times at {calls} calls", findings)

    # Rows that come from the server.

    def source(self, rows, kills):
        if not self.wanted("source"):
            return
        source = RowsSource(self.place, rows)
        findings, done, killed = [], False, 0
        try:
            while not done:
                run = source.run()
                if killed < kills:
                    time.sleep(self.rng.random() * 2 * source.seconds / kills)
                    killed += self.kill([run])
                done = self.end([run])
            findings = source.judge()
        except (RuntimeError, subprocess.CalledProcessError) as bad:
            findings = [str(bad)]
        self.tell("source", f"{rows} rows, killed {killed} times; {source.told()}", findings)

    def run(self):
        kills, servers, place = self.options.kills, self.options.server_kills, self.place
        print(f"seed {self.options.seed}", flush=True)
        for name, key in (("key", True), ("ledger", False)):
            proxied, pooled = Work(key=key, url=place.proxy_url), Work(key=key, url=place.pool_url, pooled=True)
            self.group(name, Work(key=key), kills // 3)
            self.group("pool, " + name, pooled, kills // 12)
            self.group("answers, " + name, proxied, kills // 12)
            self.group("server, " + name, Work(key=key), (servers * 2 + 2) // 5, self.restart_server)
            self.group("held, " + name, proxied, servers // 10, self.restart_after_commit)
            self.sends("sends, " + name, Work(key=key, items=200, makes_table=True))
        self.sends("sends, answers", Work(items=200, url=place.proxy_url))
        self.group("two", Work(key=True, names=("orders", "back"), dies_each=50), kills // 6)
        self.source(self.options.rows, self.options.source_kills)
        print(f"{self.passed} passed, {self.failed} failed")
        return 1 if self.failed else 0


def main():
    build = os.environ.get("WEIR_BUILD", ROOT + "/build")
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--server-kills", type=int, default=50)
    parser.add_argument("--rows", type=int, default=1000000)
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--only", action="append")
    parser.add_argument("--weir", default=os.path.join(build, "weir"))
    parser.add_argument("--library", default=os.path.join(build, "tests/crash/weir-crash.so"))
    options = parser.parse_args()
    options.source_kills = 20
    if options.sample:
        options.kills, options.server_kills, options.rows, options.source_kills = 30, 3, 20000, 3
    options.weir, options.library = os.path.abspath(options.weir), os.path.abspath(options.library)
    return Suite(options).run()


if __name__ == "__main__":
    sys.exit(main())
