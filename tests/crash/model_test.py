# SPDX-License-Identifier: MIT
"""Tests of disk_model.py: random calls on a few files, against the plainest simulation of what a program sees and of
what has to survive.

Ends with "N passed, N failed".
"""
import random
import sys

import disk_model
from disk_model import BYTE_WAYS, NAME_WAYS, Disk, Op

ROUNDS = 300
PATHS = ("a", "b", "d/a", "d/b")


class Naive:
    """Files as a program sees them, and what was so at the last sync of the file, or of the folder."""

    def __init__(self):
        self.names = {}  # path -> inode
        self.bytes = {}  # inode -> bytes
        self.synced = {}  # inode -> bytes at its last sync
        self.changed = set()  # inodes that were changed since
        self.safe_names = {}  # path -> inode, as of the folder's last sync
        self.unsafe = set()  # paths that changed since
        self.next_inode = 1

    def random_op(self, rng):
        path = rng.choice(PATHS)
        inode = self.names.get(path)
        kind = rng.random()
        if inode is None:
            inode, self.next_inode = self.next_inode, self.next_inode + 1
            self.names[path], self.bytes[inode], self.synced[inode] = inode, b"", b""
            self.unsafe.add(path)
            return Op(disk_model.CREATE, path, None, inode, 0, b"")
        if kind < 0.45:
            data, offset = rng.randbytes(rng.randint(1, 1500)), rng.randint(0, 3000)
            old = self.bytes[inode].ljust(offset, b"\0")
            self.bytes[inode] = old[:offset] + data + old[offset + len(data):]
            self.changed.add(inode)
            return Op(disk_model.WRITE, path, None, inode, offset, data)
        if kind < 0.55:
            size = rng.randint(0, 3000)
            self.bytes[inode] = self.bytes[inode][:size].ljust(size, b"\0")
            self.changed.add(inode)
            return Op(disk_model.TRUNCATE, path, None, inode, size, b"")
        if kind < 0.75:
            self.synced[inode] = self.bytes[inode]
            self.changed.discard(inode)
            return Op(disk_model.SYNC, path, None, inode, 0, b"")
        if kind < 0.85:
            folder = rng.choice(("", "d"))
            self.sync_names(folder)
            return Op(disk_model.SYNC_DIR, folder, None, 0, 0, b"")
        if kind < 0.92:
            del self.names[path]
            self.unsafe.add(path)
            return Op(disk_model.UNLINK, path, None, 0, 0, b"")
        to = rng.choice([other for other in PATHS if other != path])
        self.names[to] = self.names.pop(path)
        self.unsafe.update((path, to))
        return Op(disk_model.RENAME, path, to, 0, 0, b"")

    def sync_names(self, folder):
        for path in PATHS:
            if path.rpartition("/")[0] == folder:
                self.safe_names.pop(path, None)
                if path in self.names:
                    self.safe_names[path] = self.names[path]
                self.unsafe.discard(path)


def problem(naive, disk, rng):
    """What a cut makes of the disk that it must not; None if nothing."""
    for bytes_way in BYTE_WAYS:
        for names_way in NAME_WAYS:
            image = {path: thing for path, thing in disk.cut(bytes_way, names_way, rng).items() if thing}
            way = f"bytes {bytes_way}, names {names_way}"
            if (bytes_way, names_way) == ("all", "all") and \
                    image != {path: (inode, naive.bytes[inode]) for path, inode in naive.names.items()}:
                return f"{way}: not what the program saw"
            if names_way == "none" and {path: inode for path, (inode, _) in image.items()} != naive.safe_names:
                return f"{way}: names {sorted(image)} instead of those that were synced"
            for path, inode in naive.safe_names.items():
                if path not in naive.unsafe and image.get(path, (0,))[0] != inode:
                    return f"{way}: {path} was synced and is not there"
            for path, (inode, data) in image.items():
                if inode not in naive.changed and data != naive.synced[inode]:
                    return f"{way}: {path} has not what was synced"
                if bytes_way == "none" and data != naive.synced[inode]:
                    return f"{way}: {path} has more than was synced"
    return None


def run(seed):
    rng = random.Random(seed)
    naive, disk = Naive(), Disk({"d": None})
    for _ in range(rng.randint(1, 40)):
        disk.add(naive.random_op(rng))
    return problem(naive, disk, rng)


def main():
    failed = 0
    for seed in range(ROUNDS):
        found = run(seed)
        if found:
            failed += 1
            print(f"FAIL seed {seed}: {found}")
    print(f"{1 if not failed else 0} passed, {min(failed, 1)} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
