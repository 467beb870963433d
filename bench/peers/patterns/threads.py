# SPDX-License-Identifier: MIT
"""The patterns of `weir bench` with threads: threads.py PATTERN URL JOBS CONCURRENCY PER_SEC, against URL/1 to URL/JOBS.

    queue      CONCURRENCY threads take from a bounded queue
    semaphore  a pool of CONCURRENCY threads, all jobs submitted at once

A thread has a connection of its own, by requests or, where that is missing, http.client.  What is printed is explained
in app/bench/peers.c.
"""
import concurrent.futures
import http.client
import queue
import resource
import sys
import threading
import time

try:
    import requests
except ImportError:
    requests = None

pattern, url, jobs, concurrency = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
results = []  # appending is atomic
own = threading.local()


def memory(key):
    with open("/proc/self/status", encoding="ascii") as file:
        return next(int(line.split()[1]) * 1024 for line in file if line.startswith(key))


def cpu():
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def get_with_requests(index):
    if not hasattr(own, "session"):
        own.session = requests.Session()
        own.session.trust_env = False
    return own.session.get(f"{url}/{index + 1}", timeout=10).status_code


def get_with_client(index):
    if not hasattr(own, "connection"):
        own.connection = http.client.HTTPConnection(url.split("/")[2], timeout=10)
    try:
        own.connection.request("GET", "/" + url.split("/", 3)[3] + f"/{index + 1}")
        response = own.connection.getresponse()
        response.read()
        return response.status
    except Exception:
        own.connection.close()
        raise


get = get_with_requests if requests else get_with_client
timeouts = (TimeoutError,) + ((requests.Timeout,) if requests else ())
refusals = (ConnectionError,) + ((requests.ConnectionError,) if requests else ())


def fetch(index):
    began = time.perf_counter()
    try:
        status = get(index)
        cause = "ok" if status < 400 else "server" if status >= 500 else "client"
    except timeouts:
        cause = "timeout"
    except refusals:
        cause = "connect"
    except Exception:  # pylint: disable=broad-except
        cause = "other"
    results.append((index, began, time.perf_counter(), cause))


def run_queue():
    waiting = queue.Queue(4 * concurrency)

    def work():
        while True:
            index = waiting.get()
            try:
                if index is None:
                    return
                fetch(index)
            finally:
                waiting.task_done()

    workers = [threading.Thread(target=work, daemon=True) for _ in range(concurrency)]
    for worker in workers:
        worker.start()
    for index in range(jobs):
        waiting.put(index)
    waiting.join()
    for _ in workers:
        waiting.put(None)


def run_semaphore():
    with concurrent.futures.ThreadPoolExecutor(concurrency) as pool:
        list(pool.map(fetch, range(jobs)))


run = globals()["run_" + pattern]
idle, cpu_before, start = memory("VmRSS"), cpu(), time.perf_counter()
run()
took = time.perf_counter() - start
peak, cpu_after = memory("VmHWM"), cpu()
print("with", f"requests {requests.__version__}" if requests else "http.client: requests is missing")
print(f"figures {took:.6f} {idle} {peak} {cpu_after - cpu_before:.6f}", flush=True)
for index, began, ended, cause in results:
    print(f"job {index} {began - start:.6f} {ended - start:.6f} {cause}")
