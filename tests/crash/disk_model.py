# SPDX-License-Identifier: MIT
"""The disk as a power cut may leave it, from a log of what was done to it (`record` of disk.h).

    image                what is on the disk before: all of it is durable
    + log up to a point  each file has its synced bytes and, behind them, writes and truncates that were not synced;
                         each folder its synced names, and changes of names that were not
    + a way to choose    which of the unsynced ones had reached the disk

What POSIX promises and no more: fsync of a file makes its bytes and its size durable, not its name; fsync of a folder
makes its names durable.  File systems that people use promise more; a program that is right here is right there.
Sectors of 512 bytes are written whole or not at all, each by itself, and no sector that was synced is harmed by the
writing of another.

How unsynced bytes are chosen, one way for a whole disk:
    none     all are gone
    all      all are there, as after a mere kill
    prefix   of each file the first so many
    subset   of each file any
    torn     of each file any, and of those any of their sectors
    zeros    none, but files have grown as far as they had: zeros where there was no byte
Later ones are laid over earlier ones, so a subset is also what a disk that reorders may leave.

Names are chosen in the same spirit: none, all, prefix or subset of the changes of each folder.  A rename happens or
does not.  A name whose folder is not there is gone, and so is a file without a name.
"""
import os
import struct

HEAD = struct.Struct("=IIQqQ")
(WRITE, TRUNCATE, SYNC, SYNC_DIR, CREATE, UNLINK, RENAME, MKDIR, RMDIR, LINK, SYNC_ALL) = range(1, 12)
OP_NAMES = ("", "write", "truncate", "sync", "sync-dir", "create", "unlink", "rename", "mkdir", "rmdir", "link",
            "sync-all")
SECTOR = 512
BYTE_WAYS = ("none", "all", "prefix", "subset", "torn", "zeros")
NAME_WAYS = ("none", "all", "prefix", "subset")


class Op:
    __slots__ = ("op", "path", "to", "inode", "offset", "data")

    def __init__(self, op, path, to, inode, offset, data):
        self.op, self.path, self.to, self.inode, self.offset, self.data = op, path, to, inode, offset, data


def read_log(path):
    with open(path, "rb") as file:
        data = file.read()
    ops, at = [], 0
    while at < len(data):
        op, path_len, inode, offset, n = HEAD.unpack_from(data, at)
        at += HEAD.size
        names = os.fsdecode(data[at:at + path_len]).split("\0")
        at += path_len
        ops.append(Op(op, names[0], names[1] if len(names) > 1 else None, inode, offset, data[at:at + n]))
        at += n
    return ops


def apply(content, op):
    """An unsynced change to a file's bytes."""
    if op.op == TRUNCATE:
        if op.offset < len(content):
            del content[op.offset:]
        else:
            content.extend(bytes(op.offset - len(content)))
        return
    put(content, op.offset, op.data)


def put(content, offset, data):
    if offset > len(content):
        content.extend(bytes(offset - len(content)))
    content[offset:offset + len(data)] = data


def sectors(op):
    """A write as pieces that are written whole."""
    at = 0
    while at < len(op.data):
        end = min(len(op.data), at + SECTOR - (op.offset + at) % SECTOR)
        yield op.offset + at, op.data[at:end]
        at = end


class File:
    def __init__(self, inode, synced=b""):
        self.inode, self.synced, self.pending = inode, bytearray(synced), []

    def sync(self):
        for op in self.pending:
            apply(self.synced, op)
        self.pending = []

    def grown(self, content):
        """With the largest size that the file ever had since."""
        now = bytearray(self.synced)
        for op in self.pending:
            apply(now, op)
            if len(now) > len(content):
                content.extend(bytes(len(now) - len(content)))

    def cut(self, way, rng):
        content = bytearray(self.synced)
        if way == "zeros":
            self.grown(content)
            return content
        first = {"none": 0, "prefix": rng.randint(0, len(self.pending))}.get(way, len(self.pending))
        for op in self.pending[:first]:
            if way in ("subset", "torn") and rng.random() < 0.5:
                continue
            if way == "torn" and op.op == WRITE:
                for offset, piece in sectors(op):
                    if rng.random() < 0.5:
                        put(content, offset, piece)
            else:
                apply(content, op)
        return content


class Names:
    """The names of a folder: durable ones and changes that are not yet.  A change is {name: File, Names or None}."""

    def __init__(self):
        self.durable, self.pending = {}, []

    def sync(self):
        for change in self.pending:
            self.durable.update(change)
        self.pending = []

    def cut(self, way, rng):
        names = dict(self.durable)
        first = {"none": 0, "prefix": rng.randint(0, len(self.pending))}.get(way, len(self.pending))
        for change in self.pending[:first]:
            if way != "subset" or rng.random() < 0.5:
                names.update(change)
        return {name: thing for name, thing in names.items() if thing is not None}


class Disk:
    """image: {path: (inode, bytes)} of the files and {path: None} of the folders, below the folder."""

    def __init__(self, image):
        self.now = {"": Names()}  # path -> what is there for the running program
        self.by_inode = {}
        for path in sorted(image):
            thing = Names() if image[path] is None else File(*image[path])
            self.enter(path, thing)
        for thing in self.now.values():
            thing.sync()

    def change(self, folder, names):
        self.now[folder].pending.append(names)

    def enter(self, path, thing):
        self.now[path] = thing
        if isinstance(thing, File):
            self.by_inode[thing.inode] = thing
        self.change(os.path.dirname(path), {os.path.basename(path): thing})

    def rename(self, path, to):
        if path not in self.now:
            return
        thing = self.now.pop(path)
        if isinstance(thing, Names):
            raise NotImplementedError("a folder is renamed")
        self.now[to] = thing
        here, there = os.path.dirname(path), os.path.dirname(to)
        if here == there:
            self.change(here, {os.path.basename(path): None, os.path.basename(to): thing})
        else:
            self.change(there, {os.path.basename(to): thing})
            self.change(here, {os.path.basename(path): None})

    def file(self, op):
        """The file that is meant; one that came to be unseen is entered now."""
        if op.inode not in self.by_inode:
            self.enter(op.path, File(op.inode))
        return self.by_inode[op.inode]

    def add(self, op):
        if op.op in (WRITE, TRUNCATE):
            self.file(op).pending.append(op)
        elif op.op == SYNC:
            self.file(op).sync()
        elif op.op == SYNC_DIR:
            if op.path in self.now:
                self.now[op.path].sync()
        elif op.op == CREATE:
            self.enter(op.path, File(op.inode))
        elif op.op == MKDIR:
            self.enter(op.path, Names())
        elif op.op in (UNLINK, RMDIR):
            if self.now.pop(op.path, None) is not None:
                self.change(os.path.dirname(op.path), {os.path.basename(op.path): None})
        elif op.op == RENAME:
            self.rename(op.path, op.to)
        elif op.op == LINK:
            self.enter(op.to, self.now[op.path])
        elif op.op == SYNC_ALL:
            for thing in list(self.now.values()) + list(self.by_inode.values()):
                thing.sync()

    def cut(self, bytes_way, names_way, rng):
        """An image as the constructor takes one."""
        image = {}

        def walk(path, names):
            for name, thing in sorted(names.cut(names_way, rng).items()):
                below = os.path.join(path, name)
                if isinstance(thing, Names):
                    image[below] = None
                    walk(below, thing)
                else:
                    image[below] = (thing.inode, bytes(thing.cut(bytes_way, rng)))
        walk("", self.now[""])
        return image


def disk_after(image, ops):
    disk = Disk(image)
    for op in ops:
        disk.add(op)
    return disk
