/* SPDX-License-Identifier: MIT */
/*
 * The control socket of a run: `ctl` in its state folder, mode 0600, for the same user (or root) only.  A client sends
 * one line, a request, and reads the answer, JSON objects, until the end.
 */
#ifndef ADMIN_CONTROL_H
#define ADMIN_CONTROL_H

#include "data/buf.h"

#include <weir/base.h>

struct control;

#define CONTROL_REQUEST_BYTES ((size_t)4 << 20) /* longest request */

/* Writes the answer to a request: a JSON object, or several, a line each.  On a fiber of its own; may suspend. */
typedef void (*control_answer)(void *arg, const char *request, struct buf *out, weir_nsec deadline);

/* Listens in the folder (a descriptor of it) and answers, in fibers of its own. */
int control_start(int folder_fd, control_answer answer, void *arg, struct control **ret_control,
		  struct weir_error *err);
void control_stop(struct control *control); /* suspends, shielded; removes the socket; NULL is fine */

/* The other side, blocking, apart from any loop: sends the request to the run whose state folder this is; the answer is
 * appended.  -ENOENT or -ECONNREFUSED: no run is alive there.  WEIR_EBUSY: it is suspended; WEIR_ETIMEDOUT: it does not
 * answer. */
int control_ask(const char *folder, const char *request, struct buf *answer, struct weir_error *err);

#endif
