# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Each row of the table "Real answers" in docs/http.md, word for word: the answer is served to the first call, and a good one
# to the second; the requests, the attempts and the row or letter are those of the table.
cat >rows.py <<'PY'
"""rows.py TABLE WEIR: serves each row's answer, runs a pipeline with the row's keys, and compares."""
import concurrent.futures, gzip, http.server, json, os, re, subprocess, sys, threading, time

page, weir = sys.argv[1:]
SECOND = {"second": True}


def cells(line):
    return [cell.strip().replace("\\|", "|") for cell in re.split(r"(?<!\\)\|", line.strip()[1:-1])]


def quoted(cell):
    return re.findall(r"`([^`]*)`", cell)


class Row:
    """An answer: the status, then headers, then the body, whatever stands between them."""

    def __init__(self, number, line):
        answer, keys, self.meaning, requests, attempts, result = cells(line)
        status, *rest = quoted(answer)
        self.name = f"row {number}: {answer[:60]} | {keys[:60]}"
        self.status, self.keys = int(status), "".join(quoted(keys))
        self.headers = [r.split(": ", 1) for r in rest if re.match(r"[A-Z][A-Za-z-]+: ", r)]
        bodies = [r for r in rest if not re.match(r"[A-Z][A-Za-z-]+(: |$)", r)]
        self.body = bodies[0].encode() if bodies else b""
        if self.body.startswith(b"gzip "):
            self.body = gzip.compress(self.body[5:])
        self.requests, self.attempts = int(requests), int(attempts)
        self.kind, self.text = result.split(" ")[0], "".join(quoted(result))
        self.seen = 0


lines = open(page).read().split("| answer | keys |")[1].split("\n")[2:]
rows = [Row(i + 1, line) for i, line in enumerate(lines) if line.startswith("|")]


def row_of(path):
    return rows[int(path[1:].split("?")[0])]


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def date_time_string(self, timestamp=None):
        named = dict(row_of(self.path).headers)
        return named.get("Date") or super().date_time_string(timestamp)

    def do_GET(self):
        row = row_of(self.path)
        row.seen += 1
        first = row.seen == 1
        body = row.body if first else json.dumps(SECOND).encode()
        self.send_response(row.status if first else 200)
        for name, value in row.headers if first else []:
            if name != "Date":
                self.send_header(name, value)
        if not first or row.status not in (204, 304):
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if first and row.status in (204, 304) else body)

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()


def read(path):
    return [json.loads(line) for line in open(path)] if os.path.exists(path) else []


def resume_when_paused(state, run):
    """Its status has to say why, and what to type."""
    while run.poll() is None:
        status = subprocess.run([weir, "status", state], capture_output=True, text=True).stdout
        if "paused: status: 429 (rule 1 of when)" in status and "weir resume" in status:
            return subprocess.run([weir, "resume", state], stdout=subprocess.DEVNULL)
        time.sleep(0.02)
    raise AssertionError("it was not paused")


def run_row(i):
    row, folder = rows[i], f"row{i}"
    os.mkdir(folder)
    with open(f"{folder}/p.yaml", "w") as file:
        file.write(f"""
source: {{ range: 1-1 }}
broker: {{ memory: {{}} }}
steps:
  - http: {{ url: 'http://127.0.0.1:{server.server_port}/{i}', headers: {{ X-Item: '${{.}}' }}, {row.keys} }}
flow: {{ retry: {{ attempts: 3, backoff: 1ms }} }}
sink: {{ jsonl: out.jsonl }}
dead_letter: {{ jsonl: dead.jsonl }}
stop_when: {{ dead: 0% }}
""")
    run = subprocess.Popen([weir, "run", f"{folder}/p.yaml", "--state", f"{folder}/state", "--quiet",
                            "--summary", f"{folder}/summary.json"],
                           stderr=subprocess.PIPE)
    if row.meaning == "the run is paused":
        resume_when_paused(f"{folder}/state", run)
    _, said = run.communicate(timeout=30)
    attempts = json.load(open(f"{folder}/summary.json"))["attempts"]
    out, letters = read(f"{folder}/out.jsonl"), [letter["reason"] for letter in read(f"{folder}/dead.jsonl")]
    right = row.seen == row.requests and attempts == row.attempts
    right = right and out == ([json.loads(row.text)] if row.kind == "row" else [])
    right = right and len(letters) == (row.kind == "letter") and all(text.startswith(row.text) for text in letters)
    return None if right else f"{row.name}\n  got {row.seen}, {attempts}, {out} {letters}\n  {said.decode()}"


with concurrent.futures.ThreadPoolExecutor(8) as pool:
    wrong = [text for text in pool.map(run_row, range(len(rows))) if text]
print("\n".join(wrong) or f"{len(rows)} rows")
sys.exit(bool(wrong) or len(rows) < 25)
PY
timeout 60 python3 rows.py "$TREE/docs/http.md" "$WEIR" >stdout || fail "the table is wrong"
expect_out '^[0-9]+ rows$'
