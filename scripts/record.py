#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Usage: scripts/record.py [FILE.svg]

Records a run that is killed with `kill -9` and started again, as a moving picture for the README (default:
docs/recording.svg).  Everything in it is real: two terminals of 88 columns under tmux, build/weir, an upstream
(weir mock: 200 ms an answer, 2 % errors), 10,000 orders into SQLite.  Fails if a row is missing or there twice.
Needs tmux and sqlite3, and build/weir.
"""
import html
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BUILD = os.environ.get("WEIR_BUILD", os.path.join(ROOT, "build"))
COLUMNS, TOP, BOTTOM = 88, 15, 2  # the terminal of the run; the one in which it is killed
CELL, LINE, PAD = 8.0, 18, 14
COLOURS = ["#484f58", "#ff7b72", "#7ee787", "#e3b341", "#79c0ff", "#d2a8ff", "#76e3ea", "#c9d1d9"]


class Terminal:
    """A shell in a terminal under tmux, on a server that belongs to this recording."""

    def __init__(self, folder, name, rows):
        self.name, self.tmux_prefix = name, ["tmux", "-u", "-S", os.path.join(folder, "tmux"), "-f", "/dev/null"]
        env = {**os.environ, "PATH": BUILD + ":" + os.environ["PATH"], "TERM": "xterm-256color",
               "LANG": "C.UTF-8"}
        prompt = os.path.join(folder, "bashrc")
        with open(prompt, "w", encoding="ascii") as file:
            file.write(r"PS1='\[\e[32m\]$\[\e[0m\] '")
        subprocess.run(self.tmux_prefix + ["new-session", "-d", "-s", name, "-x", str(COLUMNS), "-y", str(rows + 1),
                                           "-c", folder, f"bash --noprofile --rcfile {prompt} -i"], check=True, env=env)
        self.tmux("set-option", "-g", "status", "off")
        self.tmux("resize-window", "-t", name, "-x", str(COLUMNS), "-y", str(rows))

    def tmux(self, *args):
        return subprocess.run(self.tmux_prefix + list(args), check=True, stdout=subprocess.PIPE, text=True).stdout

    def type(self, text):
        self.tmux("send-keys", "-t", self.name, "-l", "--", text)

    def enter(self):
        self.tmux("send-keys", "-t", self.name, "Enter")

    def screen(self):
        return self.tmux("capture-pane", "-p", "-e", "-t", self.name).split("\n")

    def shell(self):
        return int(self.tmux("display-message", "-p", "-t", self.name, "#{pane_pid}"))

    def program(self):
        """The process that runs in the shell, or None."""
        found = subprocess.run(["pgrep", "-P", str(self.shell())], stdout=subprocess.PIPE, text=True).stdout.split()
        return int(found[0]) if found else None


class Film:
    """Screens with the seconds for which each is shown."""

    def __init__(self, *terminals):
        self.terminals, self.frames = terminals, []

    def shoot(self, seconds=0.1):
        screens = [t.screen() for t in self.terminals]
        if self.frames and self.frames[-1][0] == screens:
            self.frames[-1][1] += seconds
        else:
            self.frames.append([screens, seconds])

    def roll(self, until, limit=30.0):
        """Shoots ten screens a second until a condition holds."""
        end = time.monotonic() + limit
        while not until():
            if time.monotonic() > end:
                sys.exit("record: nothing happened; the screen is\n" + "\n".join(self.terminals[0].screen()))
            self.shoot()
            time.sleep(0.1)

    def command(self, terminal, text):
        for part in re.findall(r"\S+\s*", text):
            terminal.type(part)
            time.sleep(0.05)
            self.shoot(0.12)
        self.shoot(0.6)
        terminal.enter()
        time.sleep(0.1)


def spans(line):
    """A line with its escape sequences as (column, text, style)."""
    column, style = 0, {}
    for escape, text in re.findall(r"\x1b\[([\d;]*)m|([^\x1b]+)", line):
        if text:
            yield column, text, dict(style)
            column += len(text)
            continue
        for code in (int(c or 0) for c in escape.split(";")):
            if code == 0:
                style = {}
            elif code == 1:
                style["font-weight"] = "bold"
            elif code == 2:
                style["opacity"] = ".6"
            elif 30 <= code <= 37 or 90 <= code <= 97:
                style["fill"] = COLOURS[code % 10]
            elif code == 39:
                style.pop("fill", None)


def draw_lines(lines, top):
    for row, line in enumerate(lines):
        for column, text, style in spans(line.rstrip()):
            if text.strip():
                look = ";".join(f"{k}:{v}" for k, v in style.items())
                yield (f'<text x="{column * CELL:g}" y="{top + (row + 1) * LINE - 5}" '
                       f'textLength="{len(text) * CELL:g}" style="{look}">{html.escape(text)}</text>')


def draw(frames):
    """The frames lie one below the other, and a window moves along them.  Where motion is unwanted it shows the last."""
    rows = TOP + BOTTOM
    width, height = COLUMNS * CELL + 2 * PAD, rows * LINE + 3 * PAD
    total, at, steps = sum(seconds for _, seconds in frames), 0.0, []
    for number, (_, seconds) in enumerate(frames):
        steps.append(f"{at / total * 100:.3f}%{{transform:translateY({-number * height}px)}}")
        at += seconds
    last = f"translateY({-(len(frames) - 1) * height}px)"
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height}" width="{width:g}" height="{height}">'
    yield "<title>weir run is killed with kill -9, started again, and ends with exactly one row per item</title>"
    yield ("<style>text{font:13px ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace;"
           "fill:#e6edf3;white-space:pre}" + f"#film{{animation:film {total:.1f}s step-end infinite}}"
           f"@keyframes film{{{''.join(steps)}100%{{transform:{last}}}}}"
           f"@media(prefers-reduced-motion:reduce){{#film{{animation:none;transform:{last}}}}}</style>")
    yield '<rect width="100%" height="100%" rx="8" fill="#0d1117" stroke="#8b949e"/>'
    line = PAD + TOP * LINE + PAD / 2
    yield f'<path d="M0 {line:g}H{width:g}" stroke="#484f58"/>'
    yield f'<svg x="{PAD}" y="0" width="{COLUMNS * CELL:g}" height="{height}"><g id="film">'
    for number, ((top, bottom), _) in enumerate(frames):
        yield f'<g transform="translate(0 {number * height})">'
        yield from draw_lines(top[:TOP], PAD)
        yield from draw_lines(bottom[:BOTTOM], PAD + TOP * LINE + PAD)
        yield "</g>"
    yield "</g></svg></svg>"


def start_upstream(folder):
    port = os.path.join(folder, "port")
    mock = subprocess.Popen([os.path.join(BUILD, "weir"), "mock", "--listen", "127.0.0.1:0", "--port-file", port,
                             "--latency", "200ms", "--errors", "2%"], stdout=subprocess.DEVNULL)
    for _ in range(100):
        if os.path.exists(port) and os.path.getsize(port):
            break
        time.sleep(0.05)
    with open(port, encoding="ascii") as file:
        os.environ["MOCK_URL"] = "http://127.0.0.1:" + file.read().strip()
    return mock


def record(folder):
    shutil.copy(os.path.join(ROOT, "examples", "orders.yaml"), folder)
    with open(os.path.join(folder, "orders.jsonl"), "w", encoding="ascii") as file:
        file.writelines(f'{{"order_id": {n}}}\n' for n in range(1, 10001))
    run, other = Terminal(folder, "run", TOP), Terminal(folder, "other", BOTTOM)
    film = Film(run, other)
    time.sleep(0.3)
    film.shoot(0.8)
    film.command(run, "weir run orders.yaml")
    film.roll(lambda: re.search(r"\b[2-9],\d\d\d", "\n".join(run.screen())))
    film.command(other, f"kill -9 {run.program()}")
    film.roll(lambda: run.program() is None)
    film.shoot(2)
    film.command(run, "weir run orders.yaml")
    film.roll(lambda: run.program() is None)
    film.shoot(2)
    film.command(run, "sqlite3 orders.db 'SELECT count(*), count(DISTINCT id) FROM orders'")
    film.roll(lambda: run.program() is None)
    film.shoot(6)
    if not any(line.startswith("10000|10000") for line in run.screen()):
        sys.exit("record: not each order is one row:\n" + "\n".join(run.screen()))
    return film.frames


def main():
    if sys.argv[1:] in (["-h"], ["--help"]):
        print(__doc__.strip())
        return
    target = sys.argv[1] if len(sys.argv) > 1 else os.path.join(ROOT, "docs", "recording.svg")
    with tempfile.TemporaryDirectory() as folder:
        mock = start_upstream(folder)
        try:
            frames = record(folder)
        finally:
            subprocess.run(["tmux", "-S", os.path.join(folder, "tmux"), "kill-server"], check=False)
            mock.terminate()
            mock.wait()
    with open(target, "w", encoding="utf-8") as file:
        file.write("\n".join(draw(frames)) + "\n")


main()
