# SPDX-License-Identifier: MIT
"""A crowd at the HTTP endpoint of a run, and what the run and its scrapes notice of it.

    crowd.py URL IDLE SLOW SECONDS

First the run is watched for so many seconds.  Then IDLE connections are opened that send nothing or half a request,
and SLOW ones that ask for /metrics or /events and read a byte now and then; all stay as they are while the run is
watched again and /metrics is scraped ten times a second.  Prints, a line each,

    alone_per_s    items settled a second, alone
    crowd_per_s    and with the crowd
    scrape_ms      the slowest scrape
"""
import json
import resource
import selectors
import socket
import sys
import time
import urllib.parse

PERIOD_S = 0.1
LIMIT_S = 10


def connect(address):
    """One that is on its way; it need not arrive."""
    client = socket.socket()
    client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    client.setblocking(False)
    client.connect_ex(address)
    return client


def wait_connected(clients):
    selector = selectors.DefaultSelector()
    for client in clients:
        selector.register(client, selectors.EVENT_WRITE)
    end, left = time.monotonic() + LIMIT_S, len(clients)
    while left and time.monotonic() < end:
        for key, _ in selector.select(0.1):
            selector.unregister(key.fileobj)
            left -= 1
    selector.close()
    if left:
        sys.exit(f"crowd.py: {left} connections did not come about in {LIMIT_S} s")


def gather(address, idle, slow):
    """In groups that fit into the backlog."""
    clients = []
    for at in range(0, idle + slow, 50):
        group = [connect(address) for _ in range(min(50, idle + slow - at))]
        wait_connected(group)
        for i, client in enumerate(group):
            path = "/events" if i % 2 else "/metrics"
            text = f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n"
            if at + i < idle:
                text = text[:8] if i % 2 else ""
            try:
                client.send(text.encode())
            except OSError:
                pass  # it had to make room for another
        clients += group
    return clients


def get(address, path):
    with socket.create_connection(address, timeout=LIMIT_S) as client:
        client.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n".encode())
        answer = b"".join(iter(lambda: client.recv(1 << 16), b""))
    head, _, body = answer.partition(b"\r\n\r\n")
    if b" 200 " not in head.split(b"\r\n")[0]:
        sys.exit(f"crowd.py: {path}: {answer[:100]!r}")
    return body


def look(address):
    status = json.loads(get(address, "/api/v1/status"))
    return status["succeeded"], status["wall_s"]


def watch(address, seconds, slow):
    """Items a second meanwhile, and the slowest scrape."""
    done, at = look(address)
    slowest, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        get(address, "/metrics")
        slowest = max(slowest, time.monotonic() - begun)
        for client in slow:
            try:
                client.recv(1)
            except OSError:
                pass  # nothing there now, or it had to make room
        time.sleep(max(0, begun + PERIOD_S - time.monotonic()))
    done_then, then = look(address)
    while then == at:  # a run says it each second
        time.sleep(0.02)
        done_then, then = look(address)
    return (done_then - done) / (then - at), slowest


def main():
    url, idle, slow, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
    place = urllib.parse.urlsplit(url)
    address = (place.hostname, place.port)
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    alone, _ = watch(address, seconds, [])
    clients = gather(address, idle, slow)
    crowded, slowest = watch(address, seconds, clients[idle:])
    print(f"alone_per_s {alone:.1f}\ncrowd_per_s {crowded:.1f}\nscrape_ms {slowest * 1000:.2f}")


main()
