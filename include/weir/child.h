/* SPDX-License-Identifier: MIT */
/*
 * A pool of child processes that turn a line into a line: CPU-bound or untrusted work, in any language, in isolation.
 *
 * A child reads requests, one a line, on descriptor 0 and writes one answer line per request, in order, on descriptor
 * 1, flushed per line.  Many fibers may call concurrently; their lines are sent in batches, so a call costs a fraction
 * of a context switch between processes.  Since answers come in order, the first unanswered line is the one the child
 * works on.  When that takes longer than the limit the child is killed, and its call ends with WEIR_ETIMEDOUT.
 *
 * When a child dies, its first line is only a suspect: the system may have killed the child, or an administrator.  The
 * suspect goes to a new child once more, alone.  If that one dies as well, its call ends with WEIR_EDIED; so it does
 * after a single death by SIGABRT, with which a program says itself that it cannot handle the line.  A child that
 * breaks the rules (a line nobody asked for, an answer that is too long, has the wrong number or does not pass the
 * check) is killed, and that counts as a death.  In each case the lines behind the first one are sent again to another
 * child, and a new child is started.
 *
 * While every child has a full batch, calls wait in their order, and nothing is kept of them but what their fibers
 * hold: so a child that is slow slows its callers down.  A line whose caller has left (deadline, cancel) counts as
 * under way until the child is done with it.  Children end when weir does: on end of file, and by PR_SET_PDEATHSIG
 * where they ask for it. Calls belong on fibers of the loop that made the pool.
 */
#ifndef WEIR_CHILD_H
#define WEIR_CHILD_H

#include <weir/run.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_child;

enum weir_child_flags {
	/* Each line is sent with its number and a blank before it; the answer must begin with the same number and a
	 * blank, which the caller does not see.  So no answer can be taken for that to another line. */
	WEIR_CHILD_NUMBERED = 1u << 0,
};

struct weir_child_options {
	const char *const *argv; /* NULL-terminated; argv[0] is a path, not searched for */
	const char *const *envp; /* NULL-terminated; NULL: empty environment */
	unsigned processes;      /* 0: 1 */
	unsigned batch;          /* most lines under way to one child; 0: 256 */
	unsigned flags;          /* enum weir_child_flags */
	const char *preamble; /* sent to each child before its first line, as it is, without an answer; NULL: nothing.
			       * For what must not be seen in argv. */
	size_t preamble_bytes;
	/* Whether this can be an answer; does not suspend.  Not called for lines whose caller has left.  NULL: all can.
	 */
	bool (*check)(void *arg, const char *answer, size_t n);
	void *arg;
	size_t answer_bytes;   /* longest answer line; 0: 16 MiB */
	size_t memory_bytes;   /* address space of a child (RLIMIT_AS); 0: none */
	weir_nsec time_limit;  /* for one line, on the wall clock; 0: none */
	weir_nsec start_limit; /* for the start of the program and its first line together; 0: time_limit + 10 s,
				* or none without a time_limit */
};

/* Figures of a pool, since its start. */
struct weir_child_stats {
	uint64_t calls, answers, deaths, kills, restarts;
	uint64_t waited; /* calls that had to wait for a child with room */
};

/* Copies the options (but for `arg`), starts the children (suspends, shielded, for a turn of the loop or two).
 * WEIR_ENOMEM, -ENOENT and what else posix_spawn says. */
WEIR_API int weir_child_new(const struct weir_child_options *opts, struct weir_child **ret_child);

/* Ends the children and waits for them (suspends, shielded, 1 s at most; then kills).  Contract: no call is under way.
 * NULL is fine. */
WEIR_API void weir_child_free(struct weir_child *child);
WEIR_API void weir__child_free(const char *here, struct weir_child *child);
#define weir_child_free(...) weir__child_free(WEIR_HERE, __VA_ARGS__)

/* Sends one line (n bytes without a newline among them; the newline is added) and waits for its answer: *ret_answer is
 * allocated with malloc, ends with a NUL that is not counted, and belongs to the caller.
 * WEIR_EDIED: children died of this line; *err, which may be NULL, says how ("two children died on it; the last one was
 * killed by SIGSEGV").  WEIR_ETIMEDOUT: it took longer than the time limit, or the deadline passed.  WEIR_EAGAIN with
 * deadline WEIR_TRY, WEIR_ECANCELED, WEIR_EINVAL (a newline in the line), WEIR_ENOMEM. */
WEIR_API int weir_child_call(struct weir_child *child, const char *line, size_t n, char **ret_answer,
			     size_t *ret_answer_bytes, struct weir_error *err, weir_nsec deadline);

WEIR_API void weir_child_stats(const struct weir_child *child, struct weir_child_stats *ret_stats);

/* How a program ended that ran once.  Texts are allocated with malloc, end with a NUL that is not counted, and belong
 * to the caller. */
struct weir_child_end {
	char *output; /* what it wrote on descriptor 1 */
	size_t output_bytes;
	char *complaint; /* … and on 2: the first 4 KiB */
	size_t complaint_bytes;
	int exit_code; /* -1: it did not exit by itself */
	int signal;    /* that killed it; 0: none */
};

/* Runs a program once, with nothing to read, until it has closed its output: argv, envp, answer_bytes, memory_bytes and
 * time_limit of the options count.  Then it has a second to exit.  0, however it ended.  -EFBIG: more output than
 * answer_bytes.  WEIR_ETIMEDOUT, WEIR_ECANCELED, WEIR_EMFILE, WEIR_ENOMEM, -ENOENT and what else posix_spawn says.  In
 * each case it is gone, and what it started with it. */
WEIR_API int weir_child_run(const struct weir_child_options *opts, struct weir_child_end *ret_end, weir_nsec deadline);

#ifdef __cplusplus
}
#endif
#endif
