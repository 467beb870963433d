# SPDX-License-Identifier: MIT
"""How fast the HTTP endpoint of a run answers whose loop stands still.

    stalled.py URL SECONDS

Asks for all pages in turn for so many seconds.  Prints, a line each,

    answer_ms    the slowest answer
    seen_s       from the first question until /readyz said 503; -1: it did not
"""
import sys
import time
import urllib.error
import urllib.request

PATHS = ["/metrics", "/api/v1/status", "/api/v1/history", "/healthz", "/readyz"]
PERIOD_S = 0.02


def status_of(url):
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            answer.read()
            return answer.status
    except urllib.error.HTTPError as failure:
        return failure.code


def main():
    url, seconds = sys.argv[1], float(sys.argv[2])
    begun, slowest, seen = time.monotonic(), 0, -1
    while time.monotonic() < begun + seconds:
        for path in PATHS:
            asked = time.monotonic()
            status = status_of(url + path)
            answered = time.monotonic()
            slowest = max(slowest, answered - asked)
            if status == 503 and path == "/readyz" and seen < 0:
                seen = answered - begun
            elif status != 200 and path != "/readyz":
                sys.exit(f"stalled.py: {path}: {status}")
        time.sleep(PERIOD_S)
    print(f"answer_ms {slowest * 1000:.2f}\nseen_s {seen:.2f}")


main()
