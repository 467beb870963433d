# SPDX-License-Identifier: MIT
"""Finds circles of files: circles.py ALLOWED FILE...

A file depends on another if it uses a function or variable that the other's .c file defines, wherever that is declared:
so a shared header hides nothing.  X.c and X.h are one file here.  Files that depend on each other, by whatever way
round, are a circle.  ALLOWED lists those that are still there, a circle a line, its files sorted; a line that is no
circle any more has to go.
"""
import collections
import re
import sys

LEFT_OUT = re.compile(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])+\'', re.S)
ATTRIBUTE = re.compile(r"__attribute__\(\((?:[^()]|\([^()]*\))*\)\) ?")
FUNCTION = re.compile(r"^(?:[A-Za-z_][\w *]*[ *])?(\w+)\([^;{}]*\)\s*\{", re.M)
VARIABLE = re.compile(r"^(?:[A-Za-z_][\w *]*[ *])(\w+)(?:\[[^\]]*\])*\s*(?:=|;)", re.M)
DECLARED = re.compile(r"^(?!return |typedef )(?:extern )?[A-Za-z_][\w *]*[ *]\w+(?:\([^;{}]*\))?[^;{}=()]*;", re.M)
USE = re.compile(r"(?<!struct )(?<!enum )(?<!union )(?<![\w.])(?<!->)[A-Za-z_]\w*")


def name_of(path):
    return path[:-2]


def definitions(code):
    """Those that other files can use, and those that they cannot."""
    shared, own = set(), set()
    for found in (*FUNCTION.finditer(code), *VARIABLE.finditer(code)):
        line = found.group(0)
        if not line.startswith(("extern ", "typedef ", "return ")):
            (own if line.startswith("static ") else shared).add(found.group(1))
    return shared, own


def graph_of(paths):
    used, own, owner = collections.defaultdict(set), collections.defaultdict(set), {}
    for path in paths:
        with open(path, encoding="utf-8") as file:
            code = ATTRIBUTE.sub("", LEFT_OUT.sub(" ", file.read()))
        name = name_of(path)
        shared, hidden = definitions(code)
        used[name].update(USE.findall(DECLARED.sub(" ", code)))
        own[name] |= hidden
        if path.endswith(".c"):
            for word in shared:
                owner.setdefault((path.split("/")[0], word), name)
    graph = {}
    for name, words in used.items():
        top = name.split("/")[0]
        graph[name] = {owner[top, word] for word in words - own[name] if (top, word) in owner} - {name}
    return graph


def reachable(graph, start):
    seen, todo = set(), [start]
    while todo:
        for other in graph[todo.pop()]:
            if other not in seen:
                seen.add(other)
                todo.append(other)
    return seen


def circles_of(graph):
    reach = {name: reachable(graph, name) for name in graph}
    rings = {tuple(sorted(other for other in reach[name] if name in reach[other])) for name in graph}
    return sorted(" ".join(ring) for ring in rings if ring)


def main():
    table, *paths = sys.argv[1:]
    found = circles_of(graph_of(paths))
    with open(table, encoding="utf-8") as file:
        allowed = [line.strip() for line in file if line.strip() and not line.startswith("#")]
    for circle in found:
        if circle not in allowed:
            print(f"{circle.split()[0]}.c:1: a circle of files: {circle}")
    for circle in allowed:
        if circle not in found:
            print(f"{table}:1: this circle is no more, take it out: {circle}")


main()
