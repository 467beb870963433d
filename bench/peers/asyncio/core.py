# SPDX-License-Identifier: MIT
"""The figures of bench/core with asyncio, under the same names: core.py [-s SHARE] [--uvloop] CASE.

Tasks, asyncio.Queue with task_done and join, asyncio.sleep and a Semaphore that is taken before the task is made.
--uvloop runs them on uvloop's event loop.  A tenth of the others' switches, items and tasks: what is counted is a
rate, and it does not change with the number.
"""
import argparse
import asyncio
import os
import resource
import sys
import time

SLOWER = 10

parser = argparse.ArgumentParser()
parser.add_argument("-s", dest="share", type=int, default=1)
parser.add_argument("--uvloop", action="store_true")
parser.add_argument("case")
args = parser.parse_args()


def figure(name, value, unit):
    print(f"{name} {value:.{4 if value < 1000 else 0}f} {unit}")


def status_bytes(key):
    with open("/proc/self/status", encoding="ascii") as file:
        for line in file:
            if line.startswith(key + ":"):
                return int(line.split()[1]) * 1024
    raise KeyError(key)


# ---- switch


async def switch(name, tasks):
    each = max(10_000_000 // SLOWER // args.share // tasks, 1)

    async def yield_often():
        for _ in range(each):
            await asyncio.sleep(0)

    start = time.perf_counter()
    await asyncio.gather(*(yield_often() for _ in range(tasks)))
    figure(name, (time.perf_counter() - start) * 1e9 / (each * tasks), "ns")


# ---- queue


async def queue(name, capacity, producers, consumers):
    each = 8_000_000 // SLOWER // args.share // producers
    items = asyncio.Queue(capacity)
    total = 0

    async def produce():
        for item in range(each):
            await items.put(item)

    async def consume():
        nonlocal total
        while True:
            total += await items.get()
            items.task_done()

    start = time.perf_counter()
    takers = [asyncio.create_task(consume()) for _ in range(consumers)]
    await asyncio.gather(*(produce() for _ in range(producers)))
    await items.join()
    took = time.perf_counter() - start
    for taker in takers:
        taker.cancel()
    assert total == producers * (each * (each - 1) // 2), "items were lost"
    figure(name, each * producers / took, "items/s")


# ---- spawn


async def spawn():
    rounds = max(5000 // SLOWER // args.share, 1)
    ran = 0

    async def count_up():
        nonlocal ran
        ran += 1

    start = time.perf_counter()
    for _ in range(rounds):
        await asyncio.gather(*(count_up() for _ in range(1000)))
    figure("spawn_per_s", ran / (time.perf_counter() - start), "fibers/s")


# ---- sleepers


async def sleeper_bytes(name, tasks):
    tasks //= args.share
    asleep = 0

    async def sleep_long():
        nonlocal asleep
        asleep += 1
        await asyncio.sleep(3600)

    before = status_bytes("VmRSS")
    kept = [asyncio.create_task(sleep_long()) for _ in range(tasks)]
    while asleep < tasks:
        await asyncio.sleep(0.01)
    figure(name, (status_bytes("VmRSS") - before) / len(kept), "bytes")


async def sleepers_1m():
    tasks = 1_000_000 // args.share
    duration = 2 / args.share
    asleep = 0
    all_asleep = None
    latest = 0.0

    async def sleep_once():
        nonlocal asleep, all_asleep, latest
        due = time.perf_counter() + duration
        asleep += 1
        if asleep == tasks:
            all_asleep = time.perf_counter()
        await asyncio.sleep(duration)
        if all_asleep is not None and due >= all_asleep:
            latest = max(latest, time.perf_counter() - due)

    start = time.perf_counter()
    await asyncio.gather(*(sleep_once() for _ in range(tasks)))
    figure("sleepers_1m_wall_s", time.perf_counter() - start, "s")
    figure("sleepers_1m_late_ms", latest * 1e3, "ms")


# ---- 500 of 20,000


def cpu_seconds():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def sleep500():
    permits = asyncio.Semaphore(500)
    state = 128

    async def sleep_for(duration):
        await asyncio.sleep(duration)
        permits.release()

    running = set()
    before = cpu_seconds()
    start = time.perf_counter()
    for _ in range(20_000 // args.share):
        state = (state * 6364136223846793005 + 1442695040888963407) % 2**64
        await permits.acquire()
        task = asyncio.create_task(sleep_for(0.1 + ((state >> 32) * 100_000_000 >> 32) / 1e9))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)
    figure("sleep500_wall_s", time.perf_counter() - start, "s")
    figure("sleep500_cpu_s", cpu_seconds() - before, "s")
    figure("sleep500_rss_bytes", status_bytes("VmHWM"), "bytes")


CASES = {
    "switch_ns": lambda: switch("switch_ns", 2),
    "switch_1000_ns": lambda: switch("switch_1000_ns", 1000),
    "queue_1x1_per_s": lambda: queue("queue_1x1_per_s", 100, 1, 1),
    "queue_cap1_per_s": lambda: queue("queue_cap1_per_s", 1, 1, 1),
    "queue_4x50_per_s": lambda: queue("queue_4x50_per_s", 100, 4, 50),
    "spawn_per_s": spawn,
    "sleeper_bytes_10k": lambda: sleeper_bytes("sleeper_bytes_10k", 10_000),
    "sleeper_bytes_100k": lambda: sleeper_bytes("sleeper_bytes_100k", 100_000),
    "sleeper_bytes_1m": lambda: sleeper_bytes("sleeper_bytes_1m", 1_000_000),
    "sleepers_1m": sleepers_1m,
    "sleep500": sleep500,
}


async def main():
    await CASES[args.case]()
    sys.stdout.flush()
    os._exit(0)  # a million sleepers would take long to unwind


if args.uvloop:
    import uvloop

    uvloop.install()
asyncio.run(main())
