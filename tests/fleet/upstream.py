# SPDX-License-Identifier: MIT
"""An upstream that knows when each request was sent, and by whom.

The time is that of the kernel, which notes when a packet arrives; on one machine that is when it was sent.  So it does
not matter how busy this process is.  A worker names itself in the header x-worker.
"""
import collections
import heapq
import json
import selectors
import socket
import struct
import threading
import time

SO_TIMESTAMPNS = 35

Request = collections.namedtuple("Request", "at key worker")  # at: as time.time()


def sent_at(ancillary):
    for level, kind, data in ancillary:
        if (level, kind) == (socket.SOL_SOCKET, SO_TIMESTAMPNS):
            seconds, nanoseconds = struct.unpack("qq", data)
            return seconds + nanoseconds / 1e9
    raise RuntimeError("the kernel does not say when a packet came")


class Upstream(threading.Thread):
    """Answers GET /KEY with {"id": KEY} after `latency` seconds.  What `refuse` returns for a request, unless it is
    None, is the answer instead: a status line and headers; it runs on the thread of the upstream."""

    def __init__(self, latency=0.005, refuse=lambda request: None):
        super().__init__(daemon=True)
        self.latency, self.refuse = latency, refuse
        self.requests = []
        self.open = True
        self.answers, self.connections, self.number = [], {}, 0
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=4096)
        self.listener.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)  # what it accepts inherits it
        self.listener.setblocking(False)
        self.selector = selectors.DefaultSelector()
        self.selector.register(self.listener, selectors.EVENT_READ)
        self.url = "http://127.0.0.1:%d" % self.listener.getsockname()[1]
        self.start()

    def run(self):
        while self.open:
            wait = min(self.answers[0][0] - time.monotonic(), 0.1) if self.answers else 0.1
            for key, _ in self.selector.select(max(wait, 0)):
                if key.fileobj is self.listener:
                    self.accept()
                else:
                    self.read(key.fileobj)
            while self.answers and self.answers[0][0] <= time.monotonic():
                _, _, connection, text = heapq.heappop(self.answers)
                try:
                    connection.send(text)
                except OSError:  # nobody waits for it any more
                    self.close(connection)
        self.listener.close()
        for connection in list(self.connections):
            self.close(connection)

    def accept(self):
        try:
            while True:
                connection, _ = self.listener.accept()
                connection.setblocking(False)
                connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                self.connections[connection] = b""
                self.selector.register(connection, selectors.EVENT_READ)
        except BlockingIOError:
            pass

    def close(self, connection):
        if self.connections.pop(connection, None) is not None:
            self.selector.unregister(connection)
            connection.close()

    def read(self, connection):
        try:
            data, ancillary, _, _ = connection.recvmsg(65536, 256)
        except OSError:
            data = b""
        if not data:
            self.close(connection)
            return
        text = self.connections[connection] + data
        while b"\r\n\r\n" in text:
            head, text = text.split(b"\r\n\r\n", 1)
            self.take(connection, head.decode(), sent_at(ancillary))
        self.connections[connection] = text

    def take(self, connection, head, at):
        lines = head.split("\r\n")
        fields = dict(line.lower().split(": ", 1) for line in lines[1:])
        request = Request(at, int(lines[0].split()[1][1:]), fields.get("x-worker"))
        self.requests.append(request)
        status, body = self.refuse(request), json.dumps({"id": request.key})
        text = (f"HTTP/1.1 {status or '200 OK'}\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n{body}")
        self.number += 1
        heapq.heappush(self.answers, (time.monotonic() + (0 if status else self.latency), self.number, connection,
                                      text.encode()))

    def stop(self):
        self.open = False
        self.join()
