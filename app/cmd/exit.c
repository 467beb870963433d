/* SPDX-License-Identifier: MIT */
/* What is before and behind each verb, and what several of them do with their process. */
#include "cmd/cmd.h"

#include "data/terminal.h"
#include "http/client.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sysexits.h>
#include <unistd.h>

static bool reader_is_gone(void)
{
	struct pollfd output = {.fd = STDOUT_FILENO};
	return poll(&output, 1, 0) == 1 && (output.revents & POLLERR);
}

int cmd_end_output(int code)
{
	if ((!fflush(stdout) && !ferror(stdout)) || code >= EX__BASE || reader_is_gone())
		return code;
	terminal_complain("weir", "cannot write to the standard output: %s", strerror(errno ? errno : EIO));
	return EX_IOERR;
}

int cmd_run_verb(int (*verb)(int argc, char **argv), int argc, char **argv)
{
	signal(SIGPIPE, SIG_IGN);
	if (http_global_init()) {
		fputs("weir: libcurl cannot be used\n", stderr);
		return EX_UNAVAILABLE;
	}
	return cmd_end_output(verb(argc, argv));
}

rlim_t cmd_raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return RLIM_INFINITY;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return limit.rlim_max;
}

int cmd_signals_open(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
}

int cmd_exit_of(int code)
{
	switch (code) {
	case 0:
		return 0;
	case -ENOENT:
	case -ECONNREFUSED: /* no run is alive there */
		return EX_UNAVAILABLE;
	case WEIR_EBUSY:
	case WEIR_ETIMEDOUT: /* a run that does not answer */
		return EX_TEMPFAIL;
	case WEIR_EINVAL:
		return EX_USAGE;
	default:
		return EX_IOERR;
	}
}
