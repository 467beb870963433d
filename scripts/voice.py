# SPDX-License-Identifier: MIT
"""Words that tell a translation, in what people read: strings and public comments of C files, and documents.

usage: voice.py EXCEPTIONS FILE ...     prints FILE:LINE: WORD   <- what to write instead

EXCEPTIONS has lines "FILE WORD REASON": the word may stand in that file.
"""

import re
import sys

WORDS = {
    "anew": "again, from the start",
    "at once": "concurrently, in flight; immediately",
    "in vain": "without success",
    "told": "what the server states; a hint",
    "tells": "says, shows",
    "goes on": "resumes, continues",
    "of its own": "its own, separate",
    "lives": "is running",
    "round and round": "repeatedly",
    "whoever": "name who",
    "nobody but": "only",
    "what is to be": "name it",
}
FOUND = re.compile(r"\b(%s)\b" % "|".join(word.replace(" ", r"[\s*]+") for word in WORDS), re.IGNORECASE)
TOKENS = re.compile(r'/\*.*?\*/|//[^\n]*|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|\n', re.DOTALL)


def pieces(path, text):
    """What people read of a file, each with the place where it starts."""
    if path.endswith(".md") or path.endswith(".yaml"):
        yield 0, text
        return
    public = path.startswith("include/")
    string = None  # literals side by side are one
    for token in TOKENS.finditer(text):
        piece = token.group()
        if piece[0] == '"':
            between = text[string[1] : token.start()] if string else ""
            if string and not between.strip(" \t\n\\"):
                string = (string[0], token.end(), string[2] + piece[1:-1])
                continue
            if string:
                yield string[0], string[2]
            string = (token.start(), token.end(), piece[1:-1])
        elif piece[0] == "/" and public:
            yield token.start(), piece
    if string:
        yield string[0], string[2]


def main():
    with open(sys.argv[1], encoding="utf-8") as file:
        known = {tuple(line.split(None, 2)[:2]) for line in file if line.strip() and line[0] != "#"}
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8") as file:
            text = file.read()
        for start, piece in pieces(path, text):
            for found in FOUND.finditer(piece.replace("\\n", "  ")):
                word = " ".join(re.split(r"[\s*]+", found.group().lower()))
                line = text.count("\n", 0, start) + piece.count("\n", 0, found.start()) + 1
                if (path, word.replace(" ", "_")) not in known:
                    print(f"{path}:{line}: {word}   <- write: {WORDS[word]}")


main()
