#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What docs/fleet.md promises of several workers, measured on real processes.

What is measured is when a request was sent (upstream.py), when a row came into the table, and what Redis has; never
what weir says of itself.  Each group has a fleet of its own (place.py), and returns what it has to say and what is
wrong.

For how it is called see scripts/fleet.
"""
import argparse
import bisect
import collections
import os
import random
import resource
import signal
import sys
import threading
import time

from place import Fleet, wait_until

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
sys.path.insert(0, ROOT + "/tests/crash")
from runs import in_parallel, verdict  # noqa: E402

GROUPS = ("rate", "shut", "stopped", "killed", "silent", "lease", "poison", "production")
IN_SAMPLE = 3
RATE, BURST = 500, 10


def share_of(values, share):
    """The quantile, of values in any order."""
    return sorted(values)[min(int(len(values) * share), len(values) - 1)] if values else 0


def ms(seconds):
    return f"{seconds * 1000:.0f} ms"


class Times:
    """When requests were sent."""

    def __init__(self, requests):
        self.times = sorted(request.at for request in requests)

    def count(self, begin, end):
        return bisect.bisect_left(self.times, end) - bisect.bisect_left(self.times, begin)

    def most(self):
        """In any second."""
        return max(self.count(at, at + 1) for at in self.times)

    def used_from(self, begin, end, least):
        """From when on each second until the end has at least so many; `end` if the last one has not."""
        good, step = end, 0.02
        at = end - 1
        while at >= begin and self.count(at, at + 1) >= least:
            good, at = at, at - step
        return good


class Suite:
    """Its groups: each returns what it has to say, and what is wrong."""

    def __init__(self, options):
        self.options = options
        self.rng = random.Random(options.seed)
        self.results = []

    def fleet(self, **more):
        return Fleet(self.options, **more)

    # The limit.

    def rate(self):
        """Two workers; a third joins, is stopped, and continues."""
        sample = self.options.sample
        calm, share = (1.2, 0.8) if sample else (20.5, 0.95)  # a machine that runs tests is busy
        findings, said = [], []
        with self.fleet(source=f"range: 1-{5000 if sample else 60000}",
                        flow=f"rate: {RATE}/s, burst: {BURST}, concurrency: 60") as fleet:
            fleet.submit()
            fleet.work(2)
            requests = fleet.upstream.requests
            wait_until(20, "for the first request", lambda: requests)
            changes = [("two begin", requests[0].at)]

            def change(what):
                time.sleep(max(changes[-1][1] + 3 + calm - time.time(), 0))
                changes.append((what, time.time()))

            if not sample:
                change("a third joins")
                fleet.work()
            change("one is stopped")
            fleet.workers[-1].signal(signal.SIGSTOP)
            change("it continues")
            fleet.workers[-1].signal(signal.SIGCONT)
            if sample:
                time.sleep(0.5)
                changes.append(("", time.time()))
            else:
                change("")
            times = Times(list(requests))
        most = times.most()
        said.append(f"at most {most} in a second")
        if most > RATE + BURST:
            findings.append(f"{most} requests in one second")
        for (what, begin), (_, end) in zip(changes, changes[1:]):
            if end - begin < 3.5:
                continue
            used = times.used_from(begin, min(end, begin + 5), RATE * share) - begin
            said.append(f"{what}: {share:.0%} after {used:.1f} s")
            if used > 3:
                findings.append(f"{what}: {share:.0%} only after {used:.1f} s")
            if not sample:
                calls = times.count(end - 20, end) / RATE / 20
                said[-1] += f", then {calls:.1%}"
                if calls < 0.98:
                    findings.append(f"{what}: {calls:.1%} are used")
        return said, findings

    def shut(self):
        """One worker of three is asked to come back later."""
        wait, within = 4, 3 if self.options.sample else 2
        asked = []

        def refuse(request):
            if not asked and time.time() > begins[0] + 1:
                asked.append(request)
                return f"429 Too Many Requests\r\nRetry-After: {wait}"
            return None

        begins = [time.time() + 3600]
        with self.fleet(source="range: 1-2000", flow="rate: 200/s, concurrency: 30", refuse=refuse) as fleet:
            fleet.submit()
            fleet.work(3)
            requests = fleet.upstream.requests
            wait_until(20, "for calls of all", lambda: len({request.worker for request in requests}) == 3)
            begins[0] = time.time()
            wait_until(20, "for the refusal", lambda: asked)
            time.sleep(wait + 2)
            after = [request.at - asked[0].at for request in list(requests)]
        early = [at for at in after if 0 < at < wait]
        late = [at for at in after if at >= wait]
        findings = []
        if max(early, default=0) > within:
            findings.append(f"a call after {max(early):.1f} s")
        if not late:
            findings.append("nobody comes back")
        return [f"refused for {wait} s: the last call of any after {ms(max(early, default=0))}, the next one after "
                f"{min(late, default=0):.1f} s"], findings

    # Workers that go.

    def stopped(self):
        """Workers are stopped (SIGTERM); a death would be a dead letter.  And a rate is set for all, and who joins."""
        stops = 3 if self.options.sample else 10
        longest, given, findings = 0, 0, []
        with self.fleet(source="range: 1-3000", flow="concurrency: 40", broker="deaths: 1", latency=0.3) as fleet:
            fleet.submit()
            fleet.work(2)
            for _ in range(stops):
                leaver = fleet.workers[-2]
                fleet.work()
                wait_until(20, "for it to be at work", lambda: len(self.begun_by(fleet, leaver)) > 20)
                held = fleet.freeze(leaver)
                seen = {request.key for request in fleet.upstream.requests}
                leaver.signal(signal.SIGTERM)
                leaver.signal(signal.SIGCONT)
                waiting = {item: entry for item, entry in held.items() if item not in seen}
                _, took = wait_until(20, "for what it had not begun",
                                     lambda: not set(waiting.values()) & set(fleet.pending_of(leaver).values()))
                longest, given = max(longest, took), given + len(waiting)
                wait_until(20, "for it to end", lambda: not leaver.is_running())
                if leaver.process.returncode != 5:
                    findings.append(f"it ended with {leaver.process.returncode}: {leaver.said()}")
            fleet.weir_does("set", "fleet.yaml", "rate=100/s")
            joiner = fleet.work()
            for worker in fleet.workers[:-1]:
                if worker.is_running():
                    worker.signal(signal.SIGTERM)
            wait_until(20, "for it to be alone", lambda: len(self.running(fleet)) == 1)
            wait_until(20, "for it to be at work", lambda: self.begun_by(fleet, joiner))
            time.sleep(2)
            most = Times([request for request in list(fleet.upstream.requests) if request.worker == joiner.name]).most()
            dead = fleet.status()["dead"]
            twice = self.doubles(fleet)
        if longest > 1:
            findings.append(f"it took {longest:.1f} s until the others had them")
        if dead or twice:
            findings.append(f"{dead} deaths were counted, {twice} items called twice")
        if not 50 <= most <= 102:  # a call may be 10 ms late
            findings.append(f"at 100/s that was set before it joined, a worker made {most} calls in a second")
        return [f"{stops} workers stopped, {given} items that they had not begun with the others after {ms(longest)} "
                f"at most, {dead} deaths counted",
                f"at 100/s that was set before it joined, one made {most} calls in a second"], findings

    @staticmethod
    def running(fleet):
        return [worker for worker in fleet.workers if worker.is_running()]

    @staticmethod
    def begun_by(fleet, worker):
        return [request for request in list(fleet.upstream.requests) if request.worker == worker.name]

    @staticmethod
    def doubles(fleet):
        """Items that were called more than once."""
        calls = collections.Counter(request.key for request in list(fleet.upstream.requests))
        return sum(n > 1 for n in calls.values())

    def loss(self, lease, frozen):
        """A worker of four is lost: killed, or it falls silent as with its machine."""
        items = 10000
        with self.fleet(source=f"range: 1-{items}", flow="concurrency: 40", broker=f"lease: {lease}s",
                        latency=0.02) as fleet:
            fleet.submit()
            victim = fleet.work(4)
            wait_until(60, "for a third of it", lambda: len(fleet.upstream.requests) > items // 3)
            held = fleet.freeze(victim)
            lost = time.time()
            if not frozen:
                victim.signal(signal.SIGKILL)
            _, back = wait_until(lease + 30, "for its items to be with the others",
                                 lambda: not set(held.values()) & set(fleet.pending_of(victim).values()))
            wait_until(60, "for its rows", lambda: held.keys() <= fleet.rows().keys())
            if frozen:
                victim.signal(signal.SIGKILL)
            findings = fleet.judge(items)
            done = max((fleet.rows()[item] for item in held), default=lost) - lost
            twice = self.doubles(fleet)
        bound = lease + 5 if frozen else 5
        if not held:
            findings.append("it had no items")
        if done > bound:
            findings.append(f"its items were done after {done:.1f} s")
        return [f"{items} items; the {len(held)} of the lost worker were with the others after {ms(back)}, done after "
                f"{ms(done)} ({bound} s); {twice} called twice"], findings

    def killed(self):
        return self.loss(60, False)

    def silent(self):
        return self.loss(10, True)

    def lease(self):
        """Jobs that last ten leases."""
        items = self.options.jobs_of_ten_leases
        with self.fleet(source=f"range: 1-{items}", flow="concurrency: 2000", broker="lease: 1s", latency=10) as fleet:
            fleet.submit()
            fleet.work(4)
            findings = fleet.judge(items)
            twice, calls = self.doubles(fleet), len(fleet.upstream.requests)
        if twice:
            findings.append(f"{twice} jobs ran twice")
        return [f"{items} jobs of ten leases: {calls} calls, {twice} jobs twice"], findings

    def poison(self):
        """An item kills whoever calls for it; a supervisor starts another one."""
        items, poison = 10000, 5000

        def refuse(request):
            if request.key == poison:
                fleet.worker(request.worker).signal(signal.SIGKILL)

        with self.fleet(source=f"range: 1-{items}", flow="concurrency: 100", latency=0.02, refuse=refuse) as fleet:
            fleet.submit()
            fleet.work(4)
            while len(running := self.running(fleet)) < 4 and fleet.left() or running:
                if len(running) < 4 and fleet.left():
                    fleet.work()
                time.sleep(0.05)
            findings = fleet.judge(items, dead=1)
            deaths = sum(worker.process.returncode == -signal.SIGKILL for worker in fleet.workers)
            letters = fleet.dead_letters().count("workers died")
        if deaths > 5 or letters != 1:
            findings.append(f"{deaths} workers died, {letters} letters")
        return [f"{items} items: {deaths} workers died, {letters} letter"], findings

    # All of it.

    @staticmethod
    def freeze_one_at_work(fleet):
        """A worker that has just begun an item, and what it has."""
        requests = fleet.upstream.requests
        n = len(requests)
        wait_until(10, "for a call", lambda: len(requests) > n)
        victim = fleet.worker(requests[-1].worker)
        return victim, fleet.freeze(victim)

    def production(self):
        """15 processes with 10 in flight, 50,000 jobs an hour; three are killed and two join."""
        seconds, per_sec = self.options.seconds, 50000 / 3600
        begun, lost, returned = {}, set(), []
        with self.fleet(source="stdin: {}", flow="concurrency: 150", latency=0.1) as fleet:
            submit = fleet.submit_stdin()

            def feed():
                began, n = time.time(), 0
                while n < seconds * per_sec:
                    time.sleep(max(began + n / per_sec - time.time(), 0))
                    n += 1
                    begun[n] = time.time()
                    submit.stdin.write(b"%d\n" % n)
                    submit.stdin.flush()
                submit.stdin.close()

            fleet.work(15)
            wait_until(30, "for the workers", lambda: len(fleet.redis("HKEYS", "weir:{fleet}:alive") or []) > 15)
            feeder = threading.Thread(target=feed)
            feeder.start()
            for what in ("kill", "join", "kill", "join", "kill"):
                time.sleep(seconds / 6)
                if what == "join":
                    fleet.work()
                    continue
                victim, held = self.freeze_one_at_work(fleet)
                victim.signal(signal.SIGKILL)
                lost |= held.keys()
                returned.append(wait_until(30, "for the items of a killed worker",
                                           lambda: not set(held.values()) & set(fleet.pending_of(victim).values()))[1])
            feeder.join()
            findings = fleet.judge(len(begun))
            rows = fleet.rows()
            if submit.wait(30):
                findings.append(f"submit ended with {submit.returncode}")
        took = {item: rows[item] - begun[item] for item in rows}
        calm = [took[item] for item in took if item not in lost]
        p99 = share_of(calm, 0.99)
        if p99 >= 0.5:
            findings.append(f"p99 is {ms(p99)}")
        slowest = max((took[item] for item in lost if item in took), default=0)
        return [f"{len(begun)} items in {seconds} s: p50 {ms(share_of(calm, 0.5))}, p99 {ms(p99)}, at most "
                f"{ms(max(calm))}",
                f"{len(lost)} of killed workers with the others after {ms(max(returned))} at most, done after "
                f"{ms(slowest)}"], findings

    # Running them.

    def groups(self):
        names = self.options.groups or (GROUPS[:IN_SAMPLE] if self.options.sample else GROUPS)
        return [(name, getattr(self, name)) for name in names]

    def job_of(self, name, test):
        def job(_):
            started = time.monotonic()
            try:
                said, findings = test()
            except RuntimeError as bad:
                said, findings = [], [str(bad)]
            self.results.append(not findings)
            print(f"{'FAIL' if findings else 'ok  '} {name}: {'; '.join(said)} ({time.monotonic() - started:.0f} s)",
                  *findings, sep="\n     ", flush=True)
        return job

    def run(self):
        print(f"seed {self.options.seed}", flush=True)
        jobs = [self.job_of(name, test) for name, test in self.groups()]
        in_parallel(len(jobs) if self.options.sample else 1, jobs)
        return verdict(self.results)


def end(*_):
    """Leaves no process behind, though groups run on threads."""
    for fleet in Fleet.there:
        fleet.close()
    os._exit(1)


def main():
    build = os.environ.get("WEIR_BUILD", ROOT + "/build")
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("groups", nargs="*", choices=[*GROUPS, []])
    parser.add_argument("--sample", action="store_true")
    parser.add_argument("--seconds", type=int, default=60)
    parser.add_argument("--jobs-of-ten-leases", type=int, default=10000)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--weir", default=os.path.join(build, "weir"))
    options = parser.parse_args()
    options.weir = os.path.abspath(options.weir)
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(max(soft, 16384), hard), hard))
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, end)
    return Suite(options).run()


if __name__ == "__main__":
    sys.exit(main())
