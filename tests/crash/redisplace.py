# SPDX-License-Identifier: MIT
"""Where a fleet is disturbed: a Redis server behind a proxy, with a clock of its own and replicas that can take over;
machines that a process is on.  For nemesis.py.
"""
import json
import os
import random
import shutil
import signal
import socket
import struct
import subprocess
import time
import uuid

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))


class Away(Exception):
    """The server does not answer."""


class Redis:
    """A connection to a server, made when it is needed."""

    def __init__(self, port, patience=2):
        self.port, self.patience = port, patience
        self.file = None

    def close(self):
        if self.file:
            self.file.close()
        self.file = None

    def read(self):
        line = self.file.readline()
        if not line.endswith(b"\r\n"):
            raise Away("closed")
        kind, rest = line[:1], line[1:-2]
        if kind == b"-":
            return RuntimeError(rest.decode())
        if kind == b"+":
            return rest.decode()
        if kind == b":":
            return int(rest)
        if int(rest) < 0:
            return None
        if kind == b"$":
            return self.file.read(int(rest) + 2)[:-2].decode("utf-8", "replace")
        return [self.read() for _ in range(int(rest))]

    def __call__(self, *words):
        words = [str(word).encode() for word in words]
        try:
            if not self.file:
                with socket.create_connection(("127.0.0.1", self.port), self.patience) as made:
                    self.file = made.makefile("rwb")
            self.file.write(b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%s\r\n" % (len(w), w) for w in words))
            self.file.flush()
            answer = self.read()
        except (OSError, ValueError) as bad:
            self.close()
            raise Away(str(bad)) from bad
        except Away:
            self.close()
            raise
        if isinstance(answer, RuntimeError):
            raise answer
        return answer


class Server:
    """A redis-server that keeps what it has on disk, and the file that its clock follows."""

    def __init__(self, folder, library):
        self.folder, self.library = folder, library
        self.port, self.process, self.say = 0, None, None
        self.clock_ms = 0
        os.makedirs(folder)
        self.set_clock(0)

    def path(self, name):
        return os.path.join(self.folder, name)

    def set_clock(self, ms):
        self.clock_ms = ms
        mode = "r+b" if os.path.exists(self.path("clock")) else "wb"
        with open(self.path("clock"), mode) as file:  # in place: it is mapped
            file.write(struct.pack("=q", ms))

    def start_on(self, port, *options):
        with open(self.path("log"), "ab") as log:
            self.process = subprocess.Popen(
                ["redis-server", "--port", str(port), "--bind", "127.0.0.1", "--dir", self.folder, "--save", "",
                 "--appendonly", "yes", "--appendfsync", "everysec", "--repl-diskless-sync-delay", "0",
                 "--enable-debug-command", "yes", *options],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
                env={**os.environ, "LD_PRELOAD": self.library, "MACHINE_CLOCK": self.path("clock")})
        self.port, self.say = port, Redis(port)
        end = time.monotonic() + 20
        while time.monotonic() < end and self.process.poll() is None:
            try:
                if self.say("PING") == "PONG":
                    return True
            except (Away, RuntimeError):
                time.sleep(0.01)
        self.kill()
        return False

    def start(self, *options):
        """On its port; at first on one that is free."""
        if self.port:
            if not self.start_on(self.port, *options):
                raise RuntimeError("redis-server does not start again")
            return
        dice = random.SystemRandom()
        for _ in range(8):
            if self.start_on(dice.randrange(20000, 32000), *options):
                return
        raise RuntimeError("redis-server does not start")

    def send_signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        if self.say:
            self.say.close()
        if self.process:
            self.process.kill()
            self.process.wait()

    def info(self, section, name):
        for line in self.say("INFO", section).splitlines():
            if line.startswith(name + ":"):
                return line.split(":", 1)[1]
        return None

    def wait_for(self, section, name, value):
        end = time.monotonic() + 20
        while self.info(section, name) != value:
            if time.monotonic() > end:
                raise RuntimeError(f"{name} does not become {value}")
            time.sleep(0.01)

    def remove(self):
        self.kill()
        shutil.rmtree(self.folder, ignore_errors=True)


class Proxy:
    """tests/support/redis_proxy."""

    def __init__(self, folder, target):
        path = os.path.join(folder, "proxy.port")
        self.process = subprocess.Popen([ROOT + "/tests/support/redis_proxy", str(target), path],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        self.port = int(wait_for_file(path))

    def tell(self, **order):
        self.process.stdin.write(json.dumps(order).encode() + b"\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

    def close(self):
        self.process.kill()
        self.process.wait()


def wait_for_file(path):
    end = time.monotonic() + 20
    while not (os.path.exists(path) and os.path.getsize(path)):
        if time.monotonic() > end:
            raise RuntimeError(f"there is no {path}")
        time.sleep(0.01)
    with open(path, encoding="utf-8") as file:
        return file.read().strip()


class Machine:
    """A host, until it is started again."""

    def __init__(self, folder, name, dice):
        self.folder, self.name = folder, name
        self.reboot(dice)

    def reboot(self, dice):
        boot = str(uuid.UUID(int=dice.getrandbits(128), version=4))
        self.boot, self.space = boot, str(dice.randrange(4026531836, 4026541836))
        with open(os.path.join(self.folder, boot), "w", encoding="ascii") as file:
            file.write(boot + "\n")

    def environment(self, library):
        return {"LD_PRELOAD": library, "MACHINE_BOOT": os.path.join(self.folder, self.boot),
                "MACHINE_NAME": self.name, "MACHINE_SPACE": self.space}


class Primary:
    """The server that the proxy leads to, whichever that is."""

    def __init__(self, folder, library):
        self.folder, self.library, self.servers = folder, library, 0
        self.now = self.new_server()
        self.now.start()
        self.proxy = Proxy(folder, self.now.port)
        self.url = f"redis://127.0.0.1:{self.proxy.port}"

    def new_server(self):
        self.servers += 1
        return Server(os.path.join(self.folder, f"redis{self.servers}"), self.library)

    def restart(self):
        """As after kill -9: what it had written is there."""
        self.now.kill()
        self.now.start()

    def fail_over(self, lag, overlap):
        """A replica that has not got the last writes takes over; the old primary answers those that are connected to it
        for a while longer."""
        old, new = self.now, self.new_server()
        new.set_clock(old.clock_ms)
        new.start("--replicaof", f"127.0.0.1 {old.port}")
        new.wait_for("replication", "master_link_status", "up")
        new.wait_for("persistence", "aof_rewrite_in_progress", "0")
        new.say("REPLICAOF", "NO", "ONE")
        time.sleep(lag)
        self.proxy.tell(target=new.port, cut=0.5 if overlap else 1)
        self.now = new
        time.sleep(overlap)
        old.remove()

    def calm(self):
        """Nothing is disturbed any more."""
        self.now.send_signal(signal.SIGCONT)
        self.now.say("CONFIG", "SET", "maxmemory", "0")
        self.proxy.tell(trouble={})

    def close(self):
        self.proxy.close()
        self.now.remove()
