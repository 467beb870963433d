# SPDX-License-Identifier: MIT
"""Starts a command whose main thread it can hold, and no other: a loop that stands still.

    hold.py COMMAND [WORD ...]

SIGUSR1 holds it, until the end; then there is a file "held" in the working directory.  SIGTERM ends both.
"""
import ctypes
import os
import signal
import subprocess
import sys

SEIZE, INTERRUPT = 0x4206, 0x4207
SIGNALS = [signal.SIGUSR1, signal.SIGTERM]
libc = ctypes.CDLL(None, use_errno=True)
libc.ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
run = subprocess.Popen(sys.argv[1:], preexec_fn=lambda: signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS))
if signal.sigwait(SIGNALS) == signal.SIGUSR1:
    if libc.ptrace(SEIZE, run.pid, None, None) or libc.ptrace(INTERRUPT, run.pid, None, None):
        sys.exit("ptrace: " + os.strerror(ctypes.get_errno()))
    with open("held", "w", encoding="ascii"):
        pass
    signal.sigwait([signal.SIGTERM])
os.kill(run.pid, signal.SIGKILL)  # run.kill() takes one that is held for one that has ended
