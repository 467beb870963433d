# SPDX-License-Identifier: MIT
"""The articles' job with Python: orders.py PATTERN URL JOBS CONCURRENCY PER_SEC, into the table ORDERS_TABLE of the server
DATABASE_URL.

    gather      a task for each order, all at once
    semaphore   the same, CONCURRENCY at a time inside
    processes   a pool of CONCURRENCY processes, each with one order at a time
    threads     CONCURRENCY threads take from a queue
    streams     CONCURRENCY workers, five of them a process, are consumers of a group at a stream in the Redis REDIS_URL: each
                reads ten entries, waits a second for them, and acknowledges one after the other; results go to a second
                stream

An order is fetched, transformed and inserted in a transaction of its own, as the articles have it.  Tasks fetch with
aiohttp and share a pool of ten connections, which is asyncpg's default.  A process or thread has a connection for each,
by http.client and psycopg2, and makes it when it needs it: one that fails is an error of that order and is tried again
with the next.  Workers at the stream are tasks, those of a process share its connections, with redis-py.  Nothing else is
retried.  What is printed is explained in app/bench/peers.c.
"""
import asyncio
import collections
import datetime
import decimal
import http.client
import json
import multiprocessing
import os
import queue
import resource
import sys
import threading
import time

pattern, url, jobs, concurrency = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
database, table = os.environ["DATABASE_URL"], os.environ["ORDERS_TABLE"]
host, path = url.split("/")[2], "/" + url.split("/", 3)[3]
try:
    if pattern in ("gather", "semaphore", "streams"):
        import aiohttp
        import asyncpg

        tools = f"aiohttp {aiohttp.__version__}, asyncpg {asyncpg.__version__}"
        if pattern == "streams":
            import redis.asyncio

            tools += f", redis-py {redis.__version__}"
    else:
        import psycopg2

        tools = f"http.client, psycopg2 {psycopg2.__version__.split()[0]}"
except ImportError as missing:
    package = str(missing.name or missing).split(".", maxsplit=1)[0]
    print(f"missing {package}; install it (Debian: python3-{package})")
    sys.exit(1)
own = threading.local()


class Failure(Exception):
    """Its first argument is the cause, its second what the database said."""


def transform(text):
    order = json.loads(text, parse_float=decimal.Decimal)
    created = datetime.datetime.fromisoformat(order["created"].replace("Z", "+00:00"))
    return order["id"], order["customer"]["name"], created, decimal.Decimal(order["total"])


def check(status):
    if status >= 400:
        raise Failure("server" if status >= 500 else "client")


def last_words(error):
    said = str(error).strip() or type(error).__name__
    return said.splitlines()[-1].split("FATAL:")[-1].strip()


def outcome(index, began, error):
    """What is kept of an order: index, began, ended, cause, what the database said."""
    cause, said = "ok", ""
    if isinstance(error, Failure):
        cause, said = error.args[0], error.args[1] if len(error.args) > 1 else ""
    elif isinstance(error, (TimeoutError, asyncio.TimeoutError)):
        cause = "timeout"
    elif isinstance(error, ConnectionRefusedError):
        cause = "connect"
    elif isinstance(error, (OSError, http.client.HTTPException)):
        cause = "reset"
    elif error:
        cause, said = "other", last_words(error)
    return index, began, time.perf_counter(), cause, said


# ---- tasks


async def do_order(session, pool, index):
    async with session.get(f"{url}/{index + 1}") as response:
        check(response.status)
        row = transform(await response.text())
    try:
        await pool.execute(f"INSERT INTO {table} (id, customer, created, total) VALUES ($1, $2, $3, $4)", *row)
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        raise Failure("database", last_words(error)) from error


async def run_tasks():
    permits = asyncio.Semaphore(concurrency)
    results = []
    connector = aiohttp.TCPConnector(limit=concurrency)
    timeout = aiohttp.ClientTimeout(total=10)

    async def work(index):
        async with permits:
            began, error = time.perf_counter(), None
            try:
                await do_order(session, pool, index)
            except Exception as caught:  # pylint: disable=broad-except
                error = caught
            results.append(outcome(index, began, error))

    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session:
        async with asyncpg.create_pool(database) as pool:
            await asyncio.gather(*(work(index) for index in range(jobs)))
    return results


# ---- consumers of a stream

STREAM, RESULTS, GROUP, WORKERS, COUNT, BLOCK_MS = "orders", "results", "workers", 5, 10, 1000


def connect(client):
    return client.from_url(os.environ["REDIS_URL"].replace("redis+unix:", "unix:"))


def add_orders():
    with connect(redis.Redis) as server:
        server.xgroup_create(STREAM, GROUP, id="0", mkstream=True)
        pipe = server.pipeline(transaction=False)
        for index in range(jobs):
            pipe.xadd(STREAM, {"index": index})
        pipe.execute()


async def consume(name, server, session, pool, finished):
    results = []

    async def handle(entry, fields):
        began, error = time.perf_counter(), None
        index = int(fields[b"index"])
        try:
            await do_order(session, pool, index)
            await server.xadd(RESULTS, {"index": index})
        except Exception as caught:  # pylint: disable=broad-except
            error = caught
        await server.xack(STREAM, GROUP, entry)
        results.append(outcome(index, began, error))
        with finished.get_lock():
            finished.value += 1

    while finished.value < jobs:
        for _, entries in await server.xreadgroup(GROUP, name, {STREAM: ">"}, count=COUNT, block=BLOCK_MS):
            for entry, fields in entries:
                await handle(entry, fields)
    return results


async def run_consumers(number, finished):
    timeout = aiohttp.ClientTimeout(total=10)
    server = connect(redis.asyncio.Redis)
    async with aiohttp.ClientSession(timeout=timeout) as session:
        async with asyncpg.create_pool(database, min_size=WORKERS, max_size=WORKERS) as pool:
            names = [f"{number}-{worker}" for worker in range(WORKERS)]
            all_of_them = await asyncio.gather(*(consume(name, server, session, pool, finished) for name in names))
    await server.close()
    return [result for results in all_of_them for result in results]


def be_consumers(number, finished, results):
    end_with_parent()
    results.put(asyncio.run(run_consumers(number, finished)))


def run_streams():
    finished, results = multiprocessing.Value("q", 0), multiprocessing.Queue()
    add_orders()
    count = max(1, concurrency // WORKERS)
    processes = [multiprocessing.Process(target=be_consumers, args=(n, finished, results)) for n in range(count)]
    for process in processes:
        process.start()
    found = [result for _ in processes for result in results.get()]
    for process in processes:
        process.join()
    return found


# ---- threads and processes: each has connections of its own


def get(index):
    if not hasattr(own, "http"):
        own.http = http.client.HTTPConnection(host, timeout=10)
    try:
        own.http.request("GET", f"{path}/{index + 1}")
        response = own.http.getresponse()
        text = response.read()
    except Exception:
        own.http.close()
        raise
    check(response.status)
    return text


def insert(row):
    try:
        if not hasattr(own, "rows"):
            rows = psycopg2.connect(database)
            rows.autocommit = True
            own.rows = rows
        with own.rows.cursor() as cursor:
            cursor.execute(f"INSERT INTO {table} (id, customer, created, total) VALUES (%s, %s, %s, %s)", row)
    except psycopg2.Error as error:
        if hasattr(own, "rows") and own.rows.closed:
            del own.rows
        raise Failure("database", last_words(error)) from error


def do_order_alone(index):
    began, error = time.perf_counter(), None
    try:
        insert(transform(get(index)))
    except Exception as caught:  # pylint: disable=broad-except
        error = caught
    return outcome(index, began, error)


def end_with_parent():
    def wait():
        multiprocessing.parent_process().join()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def run_processes():
    with multiprocessing.Pool(concurrency, end_with_parent) as pool:
        results = list(pool.imap_unordered(do_order_alone, range(jobs)))
        pool.close()
        pool.join()
    return results


def run_threads():
    waiting = queue.Queue(4 * concurrency)
    results = []  # appending is atomic

    def work():
        while True:
            index = waiting.get()
            if index is None:
                return
            results.append(do_order_alone(index))

    workers = [threading.Thread(target=work, daemon=True) for _ in range(concurrency)]
    for worker in workers:
        worker.start()
    for index in range(jobs):
        waiting.put(index)
    for _ in workers:
        waiting.put(None)
    for worker in workers:
        worker.join()
    return results


# ---- figures


def cpu():
    both = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(usage.ru_utime + usage.ru_stime for usage in both)


def run():
    if pattern == "processes":
        return run_processes()
    if pattern == "streams":
        return run_streams()
    return run_threads() if pattern == "threads" else asyncio.run(run_tasks())


def main():
    cpu_before, start = cpu(), time.perf_counter()
    results = run()
    took = max(ended for _, _, ended, _, _ in results) - start
    said = collections.Counter(text for *_, text in results if text)
    print("with", tools + "".join(f"; {count} x {text}" for text, count in said.most_common(2)))
    print(f"figures {took:.6f} 0 0 {cpu() - cpu_before:.6f}", flush=True)
    for index, began, ended, cause, _ in results:
        print(f"job {index} {began - start:.6f} {ended - start:.6f} {cause}")


if __name__ == "__main__":
    main()
