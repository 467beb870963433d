/* SPDX-License-Identifier: MIT */
/* How a function ends its process: for broken contracts and overrun stacks. */
#ifndef UNIT_DEATH_H
#define UNIT_DEATH_H

#include "support/test.h"

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weir/base.h>

/* Runs fn in a child process and returns the child's wait status; what it says on the standard error is in `said`. */
static inline int status_of_child_saying(void (*fn)(void), char *said, size_t room)
{
	int ends[2];
	ck_assert_int_eq(pipe2(ends, O_CLOEXEC), 0);
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	if (pid == 0) {
		setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0});
		dup2(ends[1], STDERR_FILENO);
		fn();
		_exit(0);
	}
	close(ends[1]);
	char part[4096];
	size_t used = 0;
	for (ssize_t n; (n = read(ends[0], part, sizeof part)) > 0;) { /* to the end: a sanitizer says a lot */
		size_t fits = room - 1 - used < (size_t)n ? room - 1 - used : (size_t)n;
		memcpy(said + used, part, fits);
		used += fits;
	}
	said[used] = 0;
	close(ends[0]);
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	return status;
}

static inline int status_of_child(void (*fn)(void))
{
	char said[4096];
	return status_of_child_saying(fn, said, sizeof said);
}

/* The library aborts, and what it says has these words in it. */
#define assert_aborts_saying(fn, words, said)                                                                          \
	do {                                                                                                           \
		int death_status = status_of_child_saying(fn, said, sizeof said);                                      \
		ck_assert_msg(WIFSIGNALED(death_status) && WTERMSIG(death_status) == SIGABRT, #fn ": status %#x: %s",  \
			      death_status, said);                                                                     \
		ck_assert_msg(strstr(said, words), #fn ": said %s", said);                                             \
	} while (0)

#define assert_aborts(fn, words)                                                                                       \
	do {                                                                                                           \
		char death_said[4096];                                                                                 \
		assert_aborts_saying(fn, words, death_said);                                                           \
	} while (0)

/* The call of fn that breaks a contract, so that assert_breaks(fn) knows its place. */
#define breaks(call) (dprintf(STDERR_FILENO, "%s\n", WEIR_HERE), (call))

/* Where the call stands the library may know with the folder in front of it. */
static inline bool says_twice_where(const char *said)
{
	char where[256];
	size_t n = strcspn(said, "\n");
	const char *second = said + n;
	snprintf(where, sizeof where, "%.*s: ", (int)n, said);
	return n && strstr(second, where);
}

/* The same of a broken contract: the library names file and line of the call in breaks(). */
#define assert_breaks(fn, words)                                                                                       \
	do {                                                                                                           \
		char broken_said[4096];                                                                                \
		assert_aborts_saying(fn, ": " words "\n", broken_said);                                                \
		ck_assert_msg(says_twice_where(broken_said), #fn ": said %s", broken_said);                            \
	} while (0)

#endif
