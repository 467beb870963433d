# SPDX-License-Identifier: MIT
"""A crowd at the HTTP endpoint of a run, and what the run and its scrapes notice of it.

    crowd.py URL OTHER IDLE SLOW SECONDS

A crowd is IDLE connections that send nothing or half a request, and SLOW ones that ask for /metrics or /events and read
a byte now and then; all stay as they are while /metrics is scraped ten times a second.  It stands before OTHER, a
server on this machine that is not the run's; then twice as long before the run's endpoint; then before OTHER again.
The run is watched for SECONDS each time.  So what the crowd itself costs the machine is in both, and a run that slows
down with its age is not taken for a slow endpoint.  Prints, a line each,

    apart_per_s    items settled a second with the crowd elsewhere
    crowd_per_s    and with the crowd at the endpoint
    scrape_ms      the slowest scrape there
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


def look_again(address, at):
    """A run says it each second."""
    done, then = look(address)
    while then == at:
        time.sleep(0.02)
        done, then = look(address)
    return done, then


def watch(address, target, seconds, slow):
    """Items a second meanwhile, and the slowest scrape of the target."""
    done, at = look(address)
    if seconds > 1:  # what it says now may be of the time in which the crowd came
        done, at = look_again(address, at)
    slowest, end = 0, time.monotonic() + seconds
    while time.monotonic() < end:
        begun = time.monotonic()
        get(target, "/metrics")
        slowest = max(slowest, time.monotonic() - begun)
        for client in slow:
            try:
                client.recv(1)
            except OSError:
                pass  # nothing there now, or it had to make room
        time.sleep(max(0, begun + PERIOD_S - time.monotonic()))
    done_then, then = look_again(address, at)
    return (done_then - done) / (then - at), slowest


def watch_crowded(address, target, idle, slow, seconds):
    clients = gather(target, idle, slow)
    seen = watch(address, target, seconds, clients[idle:])
    for client in clients:
        client.close()
    return seen


def address_of(url):
    place = urllib.parse.urlsplit(url)
    return place.hostname, place.port


def main():
    run, other, (idle, slow) = address_of(sys.argv[1]), address_of(sys.argv[2]), map(int, sys.argv[3:5])
    seconds = float(sys.argv[5])
    most = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))
    before, _ = watch_crowded(run, other, idle, slow, seconds)
    crowded, slowest = watch_crowded(run, run, idle, slow, 2 * seconds)
    after, _ = watch_crowded(run, other, idle, slow, seconds)
    print(f"apart_per_s {(before + after) / 2:.1f}\ncrowd_per_s {crowded:.1f}\nscrape_ms {slowest * 1000:.2f}")


main()
