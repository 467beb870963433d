# SPDX-License-Identifier: MIT
# shellcheck shell=bash
# /readyz says why a run is not ready: its broker is full, or its loop stands still; and all answer within 100 ms then.
mock --latency 10s
cat >pipeline.yaml <<'YAML'
source: { range: 1-100000 }
steps: [ { http: { url: '${env:MOCK_URL}/orders/${.}', timeout: 30s } } ]
sink: { jsonl: { path: out.jsonl } }
broker: { memory: {} }
flow: { concurrency: 2 }
shutdown: { drain: 0s }
observe: { ready: { depth: 70%, put_wait: 1h } }
YAML

is_not_ready() { # WHY
	! observed /readyz >why && grep -q "$1" why && grep -q ' 503 ' observed
}

start_run
wait_until 20 status_says '.filled > 0.7'
wait_until 10 is_not_ready '^the broker is fuller than observe.ready.depth'
kill -TERM "$started_pid"
finish
sed -i 's/ready: .*/ready: { put_wait: 10ms } }/' pipeline.yaml
rm -rf state

# Holds the thread of the loop, and no other, until it is told to let it go.
cat >hold.py <<'PY'
import ctypes, os, signal, subprocess, sys

SEIZE, INTERRUPT = 0x4206, 0x4207
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1, signal.SIGTERM])
run = subprocess.Popen(sys.argv[1:], preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, [signal.SIGUSR1, signal.SIGTERM]))
signal.sigwait([signal.SIGUSR1])
if libc.ptrace(SEIZE, run.pid, None, None) or libc.ptrace(INTERRUPT, run.pid, None, None):
    sys.exit("ptrace: " + os.strerror(ctypes.get_errno()))
open("held", "w").close()
signal.sigwait([signal.SIGTERM])
os.kill(run.pid, signal.SIGKILL)  # run.kill() takes one that is held for one that has ended
PY
start python3 hold.py "$WEIR" "${RUN[@]}"
holder=$started_pid
wait_until 20 is_not_ready '^the source waits for room in the broker for longer than observe.ready.put_wait'
port=$(observe_port)
observe_port() { echo "$port"; } # a loop that is held does not answer `weir status`
kill -USR1 "$holder"
wait_until 10 test -e held
wait_until 20 is_not_ready '^the loop has stalled for [0-9.]* s'
observed /metrics >metrics
expect grep -q '^weir_items_in_flight 2' metrics
for path in /metrics /api/v1/status /api/v1/history /healthz /readyz; do
	took=$(for _ in 1 2 3; do curl -s -o /dev/null -w '%{time_total}\n' "http://127.0.0.1:$port$path"; done | sort -g | head -n 1)
	expect awk "BEGIN { exit !($took < 0.1) }"
done
kill -TERM "$holder"
wait "$holder" || true
