/* SPDX-License-Identifier: MIT */
/*
 * Waiting on a descriptor (socket, pipe, terminal, epoll, signalfd; not a regular file, which is always ready).
 *
 * A weir_io watches a descriptor that the caller owns and has set non-blocking.  Several fibers may wait on it, for the
 * same or different events.  Registration is kept from wait to wait, so a loop of read-until-EAGAIN and wait costs no
 * system call for the waiting.  Close the weir_io before the descriptor.  Calls belong on fibers of the loop that made
 * it.
 */
#ifndef WEIR_IO_H
#define WEIR_IO_H

#include <sys/types.h>
#include <weir/run.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_io;

enum weir_io_events {
	WEIR_READABLE = 1u << 0, /* data, end of file, or an error to be read */
	WEIR_WRITABLE = 1u << 1,
};

/* WEIR_ENOMEM, or what the system says of such a descriptor (-EPERM for a regular file, -EBADF). */
WEIR_API int weir_io_open(int fd, struct weir_io **ret_io);

/* Ends all waits on it with WEIR_ECLOSED and stops watching.  Does not suspend, does not close the descriptor; frees
 * the weir_io.  NULL is fine. */
WEIR_API void weir_io_close(struct weir_io *io);

/* Suspends until one of the events holds and returns those that do (1 or more); with a deadline that has passed, or
 * WEIR_TRY, it still looks once.  Returns 0 when weir_io_wake() was called meanwhile or since the last wait.
 * WEIR_EINVAL (no event), WEIR_EAGAIN, WEIR_ETIMEDOUT, WEIR_ECANCELED, WEIR_ECLOSED.
 * May report an event that is gone again: try, and wait again on EAGAIN. */
WEIR_API int weir_io_wait(struct weir_io *io, unsigned events, weir_nsec deadline);

/* Makes the weir_io_wait() under way, or else the next one, return 0 (not a read or write).  For a fiber that waits for
 * a descriptor or for work from its fellow fibers.  Does not suspend. */
WEIR_API void weir_io_wake(struct weir_io *io);

/* Reads up to n bytes as soon as there are any: their number, 0 at the end of file, or a negative code. */
WEIR_API ssize_t weir_io_read(struct weir_io *io, void *buf, size_t n, weir_nsec deadline);

/* Writes all n bytes: 0, or a negative code, when an unknown part may have been written.  Sockets raise no SIGPIPE. */
WEIR_API int weir_io_write(struct weir_io *io, const void *buf, size_t n, weir_nsec deadline);

#ifdef __cplusplus
}
#endif
#endif
