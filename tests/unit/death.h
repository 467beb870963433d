/* SPDX-License-Identifier: MIT */
/* How a function ends its process: for broken contracts and overrun stacks. */
#ifndef UNIT_DEATH_H
#define UNIT_DEATH_H

#include "support/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs fn in a child process, its words thrown away, and returns the child's wait status. */
static inline int status_of_child(void (*fn)(void))
{
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		int null = open("/dev/null", O_WRONLY);
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		dup2(null, 2);
		fn();
		_exit(0);
	}
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

/* A broken contract: the library aborts. */
#define assert_aborts(fn)                                                                                              \
	do {                                                                                                           \
		int death_status = status_of_child(fn);                                                                \
		ck_assert_msg(WIFSIGNALED(death_status) && WTERMSIG(death_status) == SIGABRT, #fn ": status %#x",      \
			      death_status);                                                                           \
	} while (0)

#endif
