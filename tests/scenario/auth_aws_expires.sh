# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# AWS keys that expire in the middle of a run are read again, from the profile or the program that they came from; a
# clock that is wrong is corrected by the server's.  No item is lost, and no attempt is used up.
cat >server.py <<'PY'
import calendar, http.server, json, os, threading, time

lock = threading.Lock()
good = 0

def read(name, fallback):
    try:
        return open(name).read().strip()
    except FileNotFoundError:
        return fallback

class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 65536

    def log_message(self, *args):
        pass

    def answer(self, status, text, now):
        self.send_response_only(status)
        self.send_header("Date", self.date_time_string(now))
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text.encode())

    def do_GET(self):
        global good
        with lock:
            now = time.time() + int(read("skew", "0"))
            key = self.headers["Authorization"].split("Credential=")[1].split("/")[0]
            token = self.headers.get("X-Amz-Security-Token", "-")
            date = calendar.timegm(time.strptime(self.headers["X-Amz-Date"], "%Y%m%dT%H%M%SZ"))
            with open("requests.log", "a") as log:
                print(key, file=log)
            if abs(date - now) > 300:
                return self.answer(403, "<Error><Code>RequestTimeTooSkewed</Code></Error>", now)
            if f"{key} {token}" != read("accepted", ""):
                if self.path.startswith("/json"):
                    return self.answer(400, json.dumps({"__type": "com.amazon#ExpiredTokenException"}), now)
                return self.answer(403, "<Error><Code>ExpiredToken</Code></Error>", now)
            good += 1
            if good == int(read("expire_after", "-1")):
                if os.path.exists("credentials.new"):
                    os.rename("credentials.new", "credentials")
                os.rename("next", "accepted")
            self.answer(200, json.dumps({"path": self.path}), now)

class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 500

server = Server(("127.0.0.1", 0), Handler)
with open("port.new", "w") as port:
    port.write(str(server.server_address[1]))
os.rename("port.new", "port")
server.serve_forever()
PY
# upstream: from the beginning, it has counted nothing.
upstream() {
	rm -f port requests.log
	python3 server.py &
	pids+=($!)
	wait_until 20 test -s port
}

# keys N: a file of credentials with the Nth keys.
keys() {
	printf '[other]\naws_access_key_id = X\naws_secret_access_key = none\n[mine]\naws_access_key_id = AKID%d\n' "$1"
	printf 'aws_secret_access_key = secret/%d\naws_session_token = canary-%d\n' "$1" "$1"
}

# signed KEYS-OF-AWS PATH
signed() {
	rm -rf state out.jsonl dead.jsonl
	pipeline <<YAML
source: { range: 1-500 }
steps:
  - http: { url: 'http://127.0.0.1:$(cat port)/$2/\${.}', auth: { aws: { service: s3, region: r, $1 } } }
flow: { concurrency: 100, retry: { attempts: 1 }, breaker: { open: 200ms..400ms } }
sink: { jsonl: { path: out.jsonl } }
dead_letter: { jsonl: { path: dead.jsonl } }
YAML
}
expect_all() {
	expect_code 0
	expect_lines 500 out.jsonl
	expect_summary '.attempts == 500 and .dead == 0'
}

# The file is rewritten in good time, and a while after the keys have expired.
export AWS_SHARED_CREDENTIALS_FILE=$PWD/credentials
for path in xml json; do
	upstream
	keys 1 >credentials
	echo 'AKID1 canary-1' >accepted
	echo 'AKID2 canary-2' >next
	echo 200 >expire_after
	signed 'profile: mine' "$path"
	[ "$path" = json ] || keys 2 >credentials.new
	start_run
	wait_until 20 test ! -e next
	if [ "$path" = json ]; then
		wait_until 20 status_says '.refused > 0'
		keys 2 >credentials.tmp
		mv credentials.tmp credentials
	fi
	finish
	expect_all
	expect test "$(grep -c AKID1 requests.log)" -ge 200
	expect test "$(grep -c AKID2 requests.log)" -ge 300
done

# A program prints others each time: it runs twice.
upstream
cat >print-keys <<'EOF'
#!/bin/sh
echo . >>calls
n=$(wc -l <calls)
printf '{"Version": 1, "AccessKeyId": "AKID%d", "SecretAccessKey": "secret/%d", "SessionToken": "canary-%d"}\n' "$n" "$n" "$n"
EOF
chmod +x print-keys
echo 'AKID1 canary-1' >accepted
echo 'AKID2 canary-2' >next
signed 'exec: [./print-keys]' xml
run
expect_all
expect test "$(wc -l <calls)" = 2

# An hour ahead of us, and two hours behind.
echo 'AKID2 -' >accepted
rm expire_after
for skew in 3600 -7200; do
	upstream
	echo "$skew" >skew
	signed 'access_key: AKID2, secret_key: s3cret' xml
	run
	expect_all
	expect test "$(wc -l <requests.log)" -le 600
done
rm skew

# Keys that nobody renews: the items wait, and the run ends; it resumes with others.  Wrong from the start, it ends at once.
upstream
echo 'AKID3 -' >next
echo 100 >expire_after
signed 'access_key: AKID2, secret_key: s3cret' json
echo 'stop_when: { denied: 300ms }' >>pipeline.yaml
run
expect_code 6
expect_summary '.dead == 0 and .succeeded >= 100 and .unfinished > 100'
expect_err 'the AWS keys have expired or are not known: check auth.aws'
sed -i 's/AKID2/AKID3/' pipeline.yaml
run
expect_code 0
expect_lines 500 out.jsonl
signed 'access_key: AKID4, secret_key: s3cret' xml
run --quiet
expect_code 6
expect_summary '.unfinished == 500'
expect_err 'stopped: status: 403; the AWS keys have expired or are not known: check auth.aws'

signed 'profile: nobody' xml
run --quiet
expect_code 6
expect_err 'stopped: auth: the file of AWS credentials has no keys of the profile nobody'

! grep -rqE 'secret/[0-9]|canary|s3cret' state dead.jsonl summary.json stdout stderr || fail "a secret is shown"
