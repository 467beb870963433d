# SPDX-License-Identifier: MIT
"""A small program that stands in for weir, right or with a planted defect, to prove that the suites see defects.

It understands of `weir` what the suites use: run, dead export.  It keeps its queue in state/state.db, writes in the
same order as weir (sink first and synced, then one commit of acks and position), and goes on in the same way.  With
STAND_IN_DEFECT it leaves out one thing:

    no-sink-sync      the sink is not synced before the acks
    no-cut            what was written behind the position is not cut off at the start
    no-ledger         rows of a table without key are not remembered
    no-folder-sync    the names of new files are not synced
    ack-first         acks are committed before the sink is written
    cursor-first      the source's cursor is committed before its items
    asynchronous      SQLite does not sync (synchronous=OFF)
"""
import json
import os
import re
import sqlite3
import sys

DEFECT = os.environ.get("STAND_IN_DEFECT", "")
PUT, BATCH = 64, 16


def sync_folder(path):
    if DEFECT == "no-folder-sync":
        return
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    os.fsync(fd)
    os.close(fd)


def open_db(path):
    db = sqlite3.connect(path, isolation_level=None)
    db.execute("PRAGMA locking_mode=EXCLUSIVE")
    db.execute("PRAGMA journal_mode=WAL")
    db.execute("PRAGMA synchronous=" + ("OFF" if DEFECT == "asynchronous" else "FULL"))
    return db


class File:
    """Lines at a position: the sink, or the dead letters."""

    def __init__(self, path, position, head=""):
        self.fd = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        sync_folder(os.path.dirname(path) or ".")
        size = os.fstat(self.fd).st_size
        if size < position:
            raise SystemExit(f"{path} has become shorter: {size} of {position}")
        if DEFECT != "no-cut" or position == 0:
            os.ftruncate(self.fd, position)
        self.position = os.fstat(self.fd).st_size
        if head and not self.position:
            self.write(head)

    def write(self, text):
        data = text.encode()
        if data:
            os.pwrite(self.fd, data, self.position)
            self.position += len(data)
            if DEFECT != "no-sink-sync":
                os.fdatasync(self.fd)


class Rows:
    """JSON lines or CSV."""

    def __init__(self, path, position, csv):
        self.csv = csv
        self.file = File(path, position, "id,total\n" if csv else "")

    def write(self, batch):
        self.file.write("".join(f"{row['id']},{row['total']}\n" if self.csv else json.dumps(row) + "\n"
                                for _, rows in batch for row in rows))

    def position(self):
        return self.file.position

    def written(self):
        return []


class Table:
    """A table with a key, or with a ledger."""

    def __init__(self, path, key):
        self.db = open_db(path)
        self.key = key
        self.db.execute("CREATE TABLE IF NOT EXISTS orders (id INTEGER" + (" PRIMARY KEY" if key else "") + ", total)")
        self.db.execute("CREATE TABLE IF NOT EXISTS ledger (item INTEGER PRIMARY KEY)")

    def write(self, batch):
        self.db.execute("BEGIN IMMEDIATE")
        self.db.execute("DELETE FROM ledger")  # all of these are acked
        self.db.executemany("INSERT OR REPLACE INTO orders VALUES (?, ?)",
                            [(row["id"], row["total"]) for _, rows in batch for row in rows])
        if not self.key and DEFECT != "no-ledger":
            self.db.executemany("INSERT INTO ledger VALUES (?)", [(item,) for item, _ in batch])
        self.db.execute("COMMIT")

    def position(self):
        return 0

    def written(self):
        return [row[0] for row in self.db.execute("SELECT item FROM ledger")]


class Run:
    def __init__(self, state, summary):
        with open("pipeline.yaml", encoding="utf-8") as file:
            text = file.read()
        self.summary = summary
        self.letters_in_file = "dead_letter:" in text
        if not os.path.isdir(state):
            os.mkdir(state, 0o700)
        sync_folder(".")
        self.db = open_db(state + "/state.db")
        sync_folder(state)
        self.db.executescript("""BEGIN;
            CREATE TABLE IF NOT EXISTS meta (cursor, read, succeeded, dead, dropped, sink, letters);
            CREATE TABLE IF NOT EXISTS item (id INTEGER PRIMARY KEY, body TEXT);
            CREATE TABLE IF NOT EXISTS dead (id INTEGER PRIMARY KEY, letter TEXT);
            INSERT INTO meta SELECT 0, 0, 0, 0, 0, 0, 0 WHERE NOT EXISTS (SELECT 1 FROM meta); COMMIT;""")
        self.cursor, _, _, _, _, sink, letters = self.db.execute("SELECT * FROM meta").fetchone()
        path = re.search(r"path: (out[/a-z.]+)", text)[1]
        if "sqlite:" in text:
            self.sink = Table(path, "key: id" in text)
        else:
            self.sink = Rows(path, sink, "csv:" in text)
        self.letters = File("dead.jsonl", letters) if self.letters_in_file else None

    def lines(self):
        with open("orders.jsonl", encoding="utf-8") as file:
            return [line.rstrip("\n") for line in file][self.cursor:]

    def put(self, lines):
        n = len(lines)
        if DEFECT == "cursor-first":
            self.db.execute("UPDATE meta SET cursor = cursor + ?, read = read + ?", (n, n))
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("INSERT INTO item VALUES (?, ?)",
                            [(self.cursor + 1 + i, line) for i, line in enumerate(lines)])
        if DEFECT != "cursor-first":
            self.db.execute("UPDATE meta SET cursor = cursor + ?, read = read + ?", (n, n))
        self.db.execute("COMMIT")
        self.cursor += n

    @staticmethod
    def process(line):
        """The rows, or the reason of its death."""
        try:
            item = json.loads(line)
        except ValueError:
            return None, "not JSON", line
        if item.get("dies"):
            return None, "jq: must die", item
        return [{"id": item["id"], "total": item["total"]}] * item["rows"], "", item

    def ack(self, done, buried):
        """done: items with their rows; buried: dead letters."""
        succeeded = sum(bool(rows) for _, rows in done)
        self.db.execute("BEGIN IMMEDIATE")
        self.db.executemany("DELETE FROM item WHERE id = ?", [(item,) for item, _ in done + buried])
        if not self.letters:
            self.db.executemany("INSERT INTO dead VALUES (?, ?)", buried)
        self.db.execute(
            "UPDATE meta SET succeeded = succeeded + ?, dropped = dropped + ?, dead = dead + ?, sink = ?, letters = ?",
            (succeeded, len(done) - succeeded, len(buried), self.sink.position(),
             self.letters.position if self.letters else 0))
        self.db.execute("COMMIT")

    def write(self, done, buried):
        self.sink.write([(item, rows) for item, rows in done if rows])
        if self.letters:
            self.letters.write("".join(letter + "\n" for _, letter in buried))

    def batch(self, items):
        done, buried = [], []
        for number, line in items:
            rows, why, item = self.process(line)
            if rows is None:
                letter = {"reason": why, "attempts": 1, "position": number, "item": item}
                buried.append((number, json.dumps(letter)))
            else:
                done.append((number, rows))
        if DEFECT == "ack-first":
            self.ack(done, buried)
            self.write(done, buried)
        else:
            self.write(done, buried)
            self.ack(done, buried)

    def work(self):
        there = set(self.sink.written())
        left = [row[0] for row in self.db.execute("SELECT id FROM item")]
        self.ack([(item, [None]) for item in left if item in there], [])
        lines = self.lines()
        while True:
            items = self.db.execute("SELECT id, body FROM item ORDER BY id LIMIT ?", (BATCH,)).fetchall()
            if items:
                self.batch(items)
            elif lines:
                self.put(lines[:PUT])
                lines = lines[PUT:]
            else:
                break
        _, read, succeeded, dead, dropped, _, _ = self.db.execute("SELECT * FROM meta").fetchone()
        code = 3 if dead else 0
        with open(self.summary, "w", encoding="utf-8") as file:
            json.dump({"read": read, "succeeded": succeeded, "dead": dead, "dropped": dropped,
                       "unfinished": read - succeeded - dead - dropped, "exit_code": code}, file)
        return code


def main(words):
    if words[:2] == ["dead", "export"]:
        for row in sqlite3.connect(words[2] + "/state.db").execute("SELECT letter FROM dead"):
            print(row[0])
        return 0
    try:
        return Run(words[words.index("--state") + 1], words[words.index("--summary") + 1]).work()
    except (OSError, sqlite3.Error) as failed:
        print(f"stand-in: {failed!r}", file=sys.stderr)
        return 74
    except SystemExit as refused:
        if re.search("shorter", str(refused)):
            print(refused, file=sys.stderr)
            return 78
        raise


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
