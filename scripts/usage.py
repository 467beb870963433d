# SPDX-License-Identifier: MIT
"""Runs a command and prints what it used, a line each.

    usage.py [--memory FOLDER] COMMAND [WORD ...]

wall_s        from its start to its end
cpu_s         user and system time of the command and of the children it waited for
With --memory the largest of ten samples a second:
pss_bytes     memory of the command and its children; a page that n processes share counts as 1/n
memory_bytes  the part of it that no file is behind, which does not depend on what else runs on the machine
state_bytes   the files in FOLDER

Ends as the command did, and prints nothing if it failed.
"""
import os
import sys
import threading
import time

INTERVAL_S = 0.1


def pss_of(pid):
    """All of it, and the part without a file."""
    found = {}
    try:
        with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as rollup:
            for line in rollup:
                if line.startswith("Pss"):
                    name, size_kib = line.split()[:2]
                    found[name] = int(size_kib) * 1024
    except OSError:
        pass  # it has ended
    return found.get("Pss:", 0), found.get("Pss_Anon:", 0)


def children_of(pid):
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as children:
            return children.read().split()
    except OSError:
        return []  # it has ended


def folder_bytes(folder):
    total = 0
    try:
        for entry in os.scandir(folder):
            total += entry.stat(follow_symlinks=False).st_size
    except OSError:
        pass  # the folder is not there yet, or a file was removed meanwhile
    return total


class Sampler(threading.Thread):
    def __init__(self, pid, folder):
        super().__init__(daemon=True)
        self.pid, self.folder, self.ended = pid, folder, threading.Event()
        self.most = [0, 0, 0]

    def run(self):
        while not self.ended.wait(INTERVAL_S):
            sizes = [pss_of(pid) for pid in [self.pid, *children_of(self.pid)]]
            now = [sum(size[0] for size in sizes), sum(size[1] for size in sizes), folder_bytes(self.folder)]
            self.most = list(map(max, self.most, now))

    def stop(self):
        self.ended.set()
        self.join()
        return self.most


def main(words):
    folder = None
    if words[:1] == ["--memory"]:
        folder, words = words[1], words[2:]
    started = time.monotonic()
    pid = os.posix_spawnp(words[0], words, os.environ)
    sampler = Sampler(pid, folder)
    if folder:
        sampler.start()
    _, status, used = os.wait4(pid, 0)
    wall = time.monotonic() - started
    most = sampler.stop() if folder else None
    code = os.waitstatus_to_exitcode(status)
    if code:
        sys.exit(code if code > 0 else 128 - code)
    print(f"wall_s {wall:.4f}")
    print(f"cpu_s {used.ru_utime + used.ru_stime:.4f}")
    if most:
        print("pss_bytes {}\nmemory_bytes {}\nstate_bytes {}".format(*most))


if __name__ == "__main__":
    main(sys.argv[1:])
