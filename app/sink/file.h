/* SPDX-License-Identifier: MIT */
/*
 * A regular file that gets text behind its end, a batch at a time, each whole and synced or not at all.
 *
 * Of a run that can go on the file is exact: written at `off` and nowhere else, and its position says how far it goes
 * and what it ends in:
 *
 *     0               off - 4 KiB       off            size
 *     |----- acked ------|--- the tail --|-- cut off --|
 *
 * Opened again at a position, a file that is gone, shorter, or has another tail is refused: something acked would be
 * missing.  A longer one is cut: what is behind was not acked, and comes again.  The position of a file of another name
 * counts only if the file ends so, too: then it was moved.  Otherwise the run writes there for the first time.
 *
 * All calls block, but for position: on a thread, one at a time.
 */
#ifndef SINK_FILE_H
#define SINK_FILE_H

#include <sys/types.h>

#include "port/sink.h"

struct sink_file {
	const char *name; /* as messages have it; borrowed */
	int fd;           /* -1: not open */
	bool exact;
	bool mid_line; /* what is there may not end a line */
	bool empty;    /* nothing was there, and nothing was written */
	off_t off;     /* exact: behind the last batch */
	uint32_t crc;  /* exact: of the tail */
	char *tail;    /* exact: the last bytes before `off` */
	size_t tail_bytes;
	char *path;               /* exact: absolute, links in its folder resolved */
	struct weir_error failed; /* for good: what every further write answers */
};

/* Prepares file->fd, a regular file opened for writing (with O_APPEND unless env->run), or -1 if env->run and there is
 * none: makes it.  Locks it against a second writer (WEIR_EBUSY), then goes on at env->position; or begins: behind what
 * is there if append, else it is emptied. */
int sink_file_open(struct sink_file *file, bool append, const struct sink_env *env, struct weir_error *err);

/* Whether the first line is this one (which ends in '\n'); or a negative code. */
int sink_file_begins_with(const struct sink_file *file, const char *line, struct weir_error *err);

/* Failures as those of the port's write(); what did not fit is cut off again. */
int sink_file_write(struct sink_file *file, const char *text, size_t n, struct weir_error *err);

void sink_file_position(const struct sink_file *file, struct buf *out); /* nothing if it is not exact */
void sink_file_fini(struct sink_file *file);                            /* closes */

#endif
