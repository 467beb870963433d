/* SPDX-License-Identifier: MIT */
/*
 * Time, deadlines and errors: the words every other header of weir uses.
 *
 * Times are `weir_nsec`, nanoseconds on the monotonic clock (or on the virtual one, see run.h).  A call that may
 * suspend its fiber takes an absolute `deadline` as its last parameter; an option that limits something holds a
 * duration, in which 0 means "no limit".
 *
 * Errors are negative ints.  Those that the system also knows are the negated errno (WEIR_ETIMEDOUT == -ETIMEDOUT);
 * weir's own lie below -5000.  `errno` itself is part of no interface: it does not survive a switch of fibers.
 * On failure outputs (`ret_x`) are untouched, ownership has not moved, and the object can still be used.
 * Breaking a contract (freeing what is in use, task_done too often, a call that may suspend outside of a fiber) prints
 * file and line of your call and aborts.
 */
#ifndef WEIR_BASE_H
#define WEIR_BASE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WEIR_API __attribute__((visibility("default")))

/* The place of a call, "main.c:42".  Calls that must not be made too early or too often are macros that pass it to the
 * library, over a function of the same name.  The place of other calls is found with addr2line when they abort; if the
 * program has no debug information (gcc -g), it is "PROGRAM+0xADDRESS". */
#define WEIR_HERE             __FILE__ ":" WEIR__TEXT_OF(__LINE__)
#define WEIR__TEXT_OF(number) WEIR__TEXT(number)
#define WEIR__TEXT(number)    #number

typedef int64_t weir_nsec;

#define WEIR_USEC ((weir_nsec)1000)
#define WEIR_MSEC ((weir_nsec)1000000)
#define WEIR_SEC  ((weir_nsec)1000000000)

#define WEIR_TRY     ((weir_nsec)0)  /* as a deadline: do not suspend, answer WEIR_EAGAIN instead */
#define WEIR_FOREVER ((weir_nsec)-1) /* as a deadline: there is none */

/* Name, value, text.  The only list of error codes. */
#define WEIR_ERRORS(X)                                                                                                 \
	X(EAGAIN, -EAGAIN, "would have to wait")                                                                       \
	X(EBUSY, -EBUSY, "busy")                                                                                       \
	X(ECANCELED, -ECANCELED, "cancelled")                                                                          \
	X(EINTR, -EINTR, "stopped by a signal")                                                                        \
	X(EINVAL, -EINVAL, "invalid argument")                                                                         \
	X(EIO, -EIO, "input/output error")                                                                             \
	X(EMFILE, -EMFILE, "no descriptor left")                                                                       \
	X(ENOENT, -ENOENT, "not found")                                                                                \
	X(ENOMEM, -ENOMEM, "out of memory")                                                                            \
	X(ENOSPC, -ENOSPC, "no space left")                                                                            \
	X(EPIPE, -EPIPE, "broken pipe")                                                                                \
	X(ETIMEDOUT, -ETIMEDOUT, "deadline passed")                                                                    \
	X(ECLOSED, -5001, "closed")                                                                                    \
	X(EDIED, -5002, "child process died")                                                                          \
	X(EDATA, -5003, "the data is wrong")                                                                           \
	X(EDEADLOCK, -5004, "every fiber waits and nothing can wake one")                                              \
	X(EOPEN, -5005, "the circuit breaker is open")

enum weir_errno {
#define WEIR_X(name, value, text) WEIR_##name = (value),
	WEIR_ERRORS(WEIR_X)
#undef WEIR_X
};

/* The text of an error code; for codes that are a negated errno and not in the list, the system's.  Never NULL;
 * valid until the next call in the same thread. */
WEIR_API const char *weir_strerror(int code);

/* The name of an error code ("WEIR_ETIMEDOUT"), or "?" for one that is not in the list. */
WEIR_API const char *weir_errname(int code);

/* What is wrong with something the user wrote: a config, a URL, a program. */
struct weir_error {
	int code;         /* negative; 0: no error recorded */
	int line;         /* from 1; 0: unknown */
	int column;       /* from 1, in bytes; 0: unknown */
	char source[160]; /* file name, or what the text is called; may be empty */
	char text[512];   /* one sentence without a final stop or newline: what is wrong, what was expected */
};

/* Records code and text (printf style) in *err, leaves the place alone, and returns code.  err may be NULL.  Control
 * bytes in the text are replaced by '?'; a text that is too long is cut. */
WEIR_API int weir_error_set(struct weir_error *err, int code, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#ifdef __cplusplus
}
#endif
#endif
