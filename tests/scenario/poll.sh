# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# Jobs that an answer begins: 202 and Location, or an id and a state in the answer.  Each is begun once, whatever happens
# to the requests that ask for it and to weir, and an item has its result, or a dead letter that says why.
cat >server.py <<'PY'
import http.server, json, os, time

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    jobs, starts, asked = {}, {}, {}

    def answer(self, status, body, headers=()):
        text = json.dumps(body).encode()
        self.send_response(status)
        for name, value in headers:
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def do_POST(self):
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        kind, job = self.path[1:].split("/")
        Handler.starts[job] = Handler.starts.get(job, 0) + 1
        Handler.jobs[job] = time.time()
        if kind == "located":
            self.answer(202, None, [("Location", f"../jobs/{job}?sign=a%2Fb")])
        elif kind == "elsewhere":
            self.answer(202, None, [("Location", f"http://127.0.0.2:9/jobs/{job}")])
        else:
            self.answer(200, {"id": job, "state": "queued"})

    def do_GET(self):
        if self.path == "/starts":
            return self.answer(200, Handler.starts)
        if self.path == "/asked":
            return self.answer(200, Handler.asked)
        if self.headers["Authorization"] != "Bearer secret":
            return self.answer(401, None)
        path = self.path.split("?")[0]
        job = path.split("/")[2]
        Handler.asked[job] = Handler.asked.get(job, 0) + 1
        done = time.time() - Handler.jobs[job] > float(os.environ["JOB_TIME"])
        if Handler.asked[job] == 2:
            self.answer(503, None)
        elif path.startswith("/states/") and int(job) % 5 == 0 and done:
            self.answer(200, {"id": job, "state": "failed", "error": "no such colour"})
        elif path.startswith("/states/"):
            self.answer(200, {"id": job, "state": "succeeded" if done else "running"})
        elif done:
            self.answer(200, {"id": job, "path": self.path})
        else:
            self.answer(202, None, [("Retry-After", "0")])

    def log_message(self, *args):
        pass

server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
server.daemon_threads = True
with open("new", "w") as port:
    port.write(str(server.server_port))
os.rename("new", "port")
server.serve_forever()
PY
JOB_TIME=1 python3 server.py &
pids+=($!)
wait_until 10 test -s port
mock_port=$(cat port)
poll_pipeline() {
	pipeline <<YAML
source: { range: 1-20 }
steps:
  - http:
      url: http://127.0.0.1:$mock_port/$1/\${.}
      method: POST
      body: '\${.}'
      auth: { bearer: secret }
      $2
flow: { concurrency: 5, breaker: off, retry: { attempts: 2, backoff: 10ms..50ms } }
stop_when: { dead: 0% }
sink: { jsonl: { path: out.jsonl, on_start: replace } }
dead_letter: { jsonl: { path: dead.jsonl, on_start: replace } }
YAML
}
all_are_begun() {
	[ "$(mock_stat length /starts)" = 20 ]
}

# Five at a time, and all 20 wait at once; killed three times meanwhile.
poll_pipeline located 'poll: 50ms'
for _ in 1 2 3; do
	start_run
	wait_until 10 all_are_begun
	sleep 0.2
	kill_run
done
run
expect_code 0
expect_lines 20 out.jsonl
expect_json out.jsonl 'all(.[]; .path == "/jobs/\(.id)?sign=a%2Fb")'
expect test "$(mock_stat 'all(. == 1)' /starts)" = true

# By fields of the answer; every fifth fails.
rm -rf state
poll_pipeline stated 'poll:
        every: 50ms
        url: http://127.0.0.1:'"$mock_port"'/states/${.id}
        done: .body.state == "succeeded"
        failed: .body.state == "failed"'
run
expect_code 3
expect_lines 16 out.jsonl
expect_json out.jsonl 'all(.[]; .state == "succeeded")'
expect_dead 4 '^poll: the job has failed: "no such colour"$'
expect_json dead.jsonl 'all(.[]; .attempts <= 2 and .evidence.method == "GET" and (.evidence.url | test("/states/")))'
expect test "$(mock_stat 'all(. == 2)' /starts)" = true

# A job at another host would get the credentials.
rm -rf state
poll_pipeline elsewhere 'poll: 50ms'
run
expect_dead 20 '^poll: the job is at another host, http://127.0.0.2:9; if that is right, write it out in poll.url$'

# The worker that began the jobs is killed; the next one asks for the same jobs.
all_were_asked_for() {
	[ "$(mock_stat length /asked)" = 40 ]
}
start_redis
poll_pipeline located 'poll: 50ms'
sed -i -e 's/1-20/21-40/; s/concurrency: 5/concurrency: 20/; /^dead_letter/d' -e "/^source/a broker: { redis: '\${env:REDIS_URL}' }" \
	-e 's/jsonl: .*/sqlite: { path: out.db, table: jobs, key: id } }/' pipeline.yaml
weir submit pipeline.yaml --detach
expect_code 0
fleet_work one
wait_until 10 all_were_asked_for
kill -KILL "$work_pid"
wait "$work_pid" 2>/dev/null || true
fleet_work two
work_ends "$work_pid" 0
expect_rows 20 out.db jobs
expect test "$(mock_stat 'to_entries | map(select(.key | tonumber > 20).value) | all(. == 1)' /starts)" = true
