# SPDX-License-Identifier: MIT
"""The patterns of `weir bench` with asyncio: aio.py PATTERN URL JOBS CONCURRENCY PER_SEC, against URL/1 to URL/JOBS.

As the articles have them, mended: a job that fails ends neither its worker nor the others.  aiohttp fetches; where it
is missing, asyncio's own streams do, a connection for each request.  What is printed is explained in app/bench/peers.c.
"""
import asyncio
import resource
import sys
import time

try:
    import aiohttp
except ImportError:
    aiohttp = None

pattern, url, jobs, concurrency, per_sec = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5])
results = []


def memory(key):
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


async def get_with_aiohttp(session, index):
    async with session.get(f"{url}/{index + 1}") as response:
        await response.read()
        return response.status


async def get_with_streams(_, index):
    host, port = url.split("/")[2].split(":")
    path = "/" + url.split("/", 3)[3]
    reader, writer = await asyncio.open_connection(host, int(port))
    try:
        writer.write(f"GET {path}/{index + 1} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
        head = await reader.readline()
        await reader.read()
        return int(head.split()[1])
    finally:
        writer.close()


get = get_with_aiohttp if aiohttp else get_with_streams


async def fetch(session, index):
    began = time.perf_counter()
    try:
        status = await asyncio.wait_for(get(session, index), 10)
        cause = "ok" if status < 400 else "server" if status >= 500 else "client"
    except asyncio.TimeoutError:
        cause = "timeout"
    except OSError as error:
        cause = "connect" if isinstance(error, ConnectionRefusedError) else "reset"
    except Exception:  # pylint: disable=broad-except
        cause = "other"
    results.append((index, began, time.perf_counter(), cause))


async def run_queue(session):
    waiting = asyncio.Queue(4 * concurrency)

    async def work():
        while True:
            index = await waiting.get()
            try:
                await fetch(session, index)
            finally:
                waiting.task_done()

    workers = [asyncio.create_task(work()) for _ in range(concurrency)]
    for index in range(jobs):
        await waiting.put(index)
    await waiting.join()
    for worker in workers:
        worker.cancel()


async def run_semaphore(session):
    permits = asyncio.Semaphore(concurrency)

    async def work(index):
        async with permits:
            await fetch(session, index)

    await asyncio.gather(*(work(index) for index in range(jobs)))


async def run_rate(session):
    permits, running = asyncio.Semaphore(concurrency), set()
    start = time.perf_counter()

    async def work(index):
        try:
            await fetch(session, index)
        finally:
            permits.release()

    for index in range(jobs):
        await permits.acquire()
        await asyncio.sleep(max(0, start + index / per_sec - time.perf_counter()))
        task = asyncio.create_task(work(index))
        running.add(task)
        task.add_done_callback(running.discard)
    await asyncio.gather(*running)


async def run_chunked(session):
    for first in range(0, jobs, concurrency):
        await asyncio.gather(*(fetch(session, index) for index in range(first, min(first + concurrency, jobs))))


async def run_naive(session):
    await asyncio.gather(*(fetch(session, index) for index in range(jobs)))


async def main():
    run = globals()["run_" + pattern]
    session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=concurrency)) if aiohttp else None
    idle, cpu_before, start = memory("VmRSS"), cpu(), time.perf_counter()
    await run(session)
    took = time.perf_counter() - start
    peak, cpu_after = memory("VmHWM"), cpu()
    print("with", f"aiohttp {aiohttp.__version__}" if aiohttp else "asyncio's streams: aiohttp is missing")
    print(f"figures {took:.6f} {idle} {peak} {cpu_after - cpu_before:.6f}", flush=True)
    for index, began, ended, cause in results:
        print(f"job {index} {began - start:.6f} {ended - start:.6f} {cause}")
    if session:
        await session.close()


asyncio.run(main())
