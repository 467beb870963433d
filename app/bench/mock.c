/* SPDX-License-Identifier: MIT */
/*
 * The mock is `weir mock`.  It is killed when its parent ends, however that ends, and it is gone immediately when it is
 * stopped: that is also how an upstream is lost in the middle of a run.
 *
 * Each has an address of its own in 127.0.0.0/8: ports in TIME_WAIT of the run before would cost the next one time.
 */
#include "bench/mock.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { START_MS = 5000 };

static void run_child(const struct bench_mock *mock, int out)
{
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(out, STDOUT_FILENO);
	execl(mock->weir, "weir", "mock", "--listen", mock->listen, "--latency", mock->latency, "--errors",
	      mock->errors, "--error-status", "500", "--seed", mock->seed, (char *)NULL);
	_exit(127);
}

/* Reads the one line that it prints when it listens. */
static int read_url(struct bench_mock *mock, int from)
{
	char line[160];
	size_t got = 0;
	while (got < sizeof line - 1) {
		struct pollfd poller = {.fd = from, .events = POLLIN};
		int ready = poll(&poller, 1, START_MS);
		if (ready < 0 && errno == EINTR)
			continue;
		ssize_t n = ready > 0 ? read(from, line + got, sizeof line - 1 - got) : 0;
		if (n <= 0)
			return WEIR_EIO;
		got += (size_t)n;
		line[got] = 0;
		const char *url = strstr(line, "http://"), *end = url ? strchr(url, '\n') : NULL;
		if (!end)
			continue;
		if ((size_t)(end - url) >= sizeof mock->url)
			return WEIR_EIO;
		snprintf(mock->url, sizeof mock->url, "%.*s", (int)(end - url), url);
		return 0;
	}
	return WEIR_EIO;
}

static int start(struct bench_mock *mock)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid_t pid = fork();
	if (pid == 0)
		run_child(mock, ends[1]);
	int code = pid < 0 ? -errno : 0;
	close(ends[1]);
	mock->pid = pid > 0 ? pid : 0;
	if (!code)
		code = read_url(mock, ends[0]);
	/* It prints nothing else on its standard output. */
	close(ends[0]);
	if (code)
		bench_mock_stop(mock);
	return code;
}

int bench_mock_start(struct bench_mock *mock, const char *weir, const struct bench_load *load, uint64_t seed,
		     unsigned place)
{
	*mock = (struct bench_mock){.weir = weir};
	snprintf(mock->listen, sizeof mock->listen, "127.%u.%u.%u:0", (unsigned)getppid() / 250 % 250 + 1,
		 (unsigned)getppid() % 250 + 1, place % 250 + 1);
	snprintf(mock->latency, sizeof mock->latency, "%" PRId64 "us..%" PRId64 "us", load->low / WEIR_USEC,
		 load->high / WEIR_USEC);
	snprintf(mock->errors, sizeof mock->errors, "%.4f%%", load->errors * 100);
	snprintf(mock->seed, sizeof mock->seed, "%" PRIu64, seed & INT64_MAX);
	return start(mock);
}

int bench_mock_again(struct bench_mock *mock)
{
	snprintf(mock->listen, sizeof mock->listen, "%.31s", mock->url + strlen("http://"));
	return start(mock);
}

void bench_mock_stop(struct bench_mock *mock)
{
	if (!mock->pid)
		return;
	kill(mock->pid, SIGKILL);
	while (waitpid(mock->pid, NULL, 0) < 0 && errno == EINTR)
		;
	mock->pid = 0;
}
