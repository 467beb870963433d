/* SPDX-License-Identifier: MIT */
/*
 * Calls of the library that are made to fail, by ld's --wrap: memory, descriptors, processes, threads, reads and
 * writes.
 *
 * faults_arm(kind, first, last) makes the calls number first to last of that kind (from 1) fail; all are counted.  To
 * add a call: its wrapper in faults.c, its name in meson.build.
 */
#ifndef TORTURE_FAULTS_H
#define TORTURE_FAULTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

enum fault_kind {
	FAULT_NONE,
	FAULT_MEMORY,    /* malloc, calloc, realloc, strdup, mmap, what a spawn prepares */
	FAULT_SYSTEM,    /* no more descriptors, threads or processes */
	FAULT_OLD,       /* an older kernel: no guards, no pidfd, no epoll_pwait2 */
	FAULT_INTERRUPT, /* EINTR */
	FAULT_AGAIN,     /* EAGAIN although there is something */
	FAULT_SHORT,     /* one byte at a time */
	FAULT_HARD,      /* reads and writes fail for good */
	FAULT_KINDS,
};

void faults_arm(enum fault_kind kind, size_t first, size_t last);

/* Calls of the armed kind, and those of them that failed, since the arming. */
size_t faults_calls(void);
size_t faults_fired(void);

/* Whether it is this kind that is armed. */
bool faults_are(enum fault_kind kind);

/* Whether they fail from the first on for ever. */
bool faults_last(void);

/* Allocations and mappings that were not given back, since the start of the program. */
long faults_live(void);

/* What the tests need of the world without any fault. */
int faults_socketpair(int fds[2]);
int faults_no_child_left(void);

#define check(condition)                                                                                               \
	do {                                                                                                           \
		if (!(condition)) {                                                                                    \
			fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition);                        \
			abort();                                                                                       \
		}                                                                                                      \
	} while (0)

struct workload {
	const char *name;
	int (*fn)(void *arg); /* the first fiber; it checks that every call ends as its header says */
	unsigned kinds;       /* 1u << kind of the faults it can bear */
	unsigned flags;       /* of weir_run() */
};

extern const struct workload workloads[]; /* up to one without a name */

#endif
