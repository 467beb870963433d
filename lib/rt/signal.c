/* SPDX-License-Identifier: MIT */
/* Signals: blocked while a fiber waits for them, and read from a descriptor. */
#include "rt/fiber.h"

#include <errno.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>
#include <weir/io.h>
#include <weir/signal.h>

static int read_signal(const sigset_t *set, weir_nsec deadline)
{
	struct weir_io *io;
	struct signalfd_siginfo info;
	int fd = signalfd(-1, set, SFD_NONBLOCK | SFD_CLOEXEC);
	if (fd < 0)
		return -errno;
	int code = weir_io_open(fd, &io);
	if (code == 0) {
		ssize_t n = weir_io_read(io, &info, sizeof info, deadline);
		code = n < 0 ? (int)n : (int)info.ssi_signo;
		weir_io_close(io);
	}
	close(fd);
	return code;
}

int weir_signal_wait(const int *signals, weir_nsec deadline)
{
	sigset_t set, before;
	sigemptyset(&set);
	for (size_t i = 0; signals[i]; i++)
		if (sigaddset(&set, signals[i]))
			return WEIR_EINVAL;
	pthread_sigmask(SIG_BLOCK, &set, &before);
	int code = read_signal(&set, deadline);
	for (size_t i = 0; signals[i]; i++) /* what was blocked before stays so */
		if (sigismember(&before, signals[i]))
			sigdelset(&set, signals[i]);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	return code;
}

int weir_signal_stop(void *unused)
{
	(void)unused;
	int code = weir_signal_wait((const int[]){SIGINT, SIGTERM, 0}, WEIR_FOREVER);
	return code < 0 ? code : WEIR_EINTR;
}
