/* SPDX-License-Identifier: MIT */
/*
 * A regular file that gets text behind its end, a batch at a time, each whole and synced or not at all.
 *
 * Of a run that can resume the file is exact: written at `off` and nowhere else, and its position says how far it goes
 * and what it ends in:
 *
 *     0               off - 4 KiB       off            size
 *     |----- acked ------|--- the tail --|-- cut off --|
 *
 * Opened again at a position, a file that is gone, shorter, or has another tail is refused: something acked would be
 * missing.  A longer one is cut if the last process was killed: what is behind was not acked, and comes again.  If it
 * ended in order, whatever is behind is not ours: then the file is refused, or kept and continued behind it (adopt).
 * With adopt, a position of another file does not count: the run writes there for the first time.
 *
 * A file that other processes of the run write to, too, is not exact: each batch is written behind what is there when
 * its turn has come, for which they lock the file (fcntl).  A process that joins the run takes what is there for its
 * own and cuts nothing; what it had not acked when it was killed is there twice.  Half a line that one has left is
 * ended.
 *
 * A file that this run has not written is refused unless it is empty, or `on_start` says what to do with it.  One that
 * holds no more than its head, or the beginning of it, is as good as empty: the head is written before the state knows
 * of the file, and a process may be killed in between.
 *
 * All calls block, but for position: on a thread, one at a time.
 */
#ifndef SINK_FILE_H
#define SINK_FILE_H

#include <sys/types.h>

#include "port/sink.h"

struct sink_file {
	const char *name; /* as messages have it; borrowed */
	int fd;           /* -1: not open; there is no file yet */
	bool exact;
	bool shared;   /* other processes write to it, too */
	bool mid_line; /* what is there may not end a line */
	bool empty;    /* nothing is there that stays, and nothing was written */
	bool foreign;  /* what stays may be of others, and is to be looked at */
	off_t size;    /* when it was opened; -1: there was none */
	uint64_t inode;
	off_t off;    /* from open to start: where to begin; then, if exact: behind the last batch */
	uint32_t crc; /* exact: of the tail */
	char *tail;   /* exact: the last bytes before `off` */
	size_t tail_bytes;
	char *path;               /* absolute, links in its folder resolved */
	struct weir_error failed; /* for good: what every further write answers */
};

/* Whether a file of such a run is exact. */
bool sink_file_is_exact(const struct sink_env *env);

/* file->fd is a regular file opened for writing (with O_APPEND unless it is exact), or -1 if there is none.  Locks it
 * against a second writer (WEIR_EBUSY), compares it with env->position and decides where to begin; changes nothing.
 * head: what will be written first, as it stands in the file; empty: nothing in particular. */
int sink_file_open(struct sink_file *file, enum sink_on_start on_start, const struct value *head,
		   const struct sink_env *env, struct weir_error *err);

/* Makes the file, or cuts what is behind the place where it begins. */
int sink_file_start(struct sink_file *file, struct weir_error *err);

/* Whether the first line is this one (which ends in '\n'); or a negative code. */
int sink_file_begins_with(const struct sink_file *file, const char *line, struct weir_error *err);

/* The head of a file that is empty, as it stands there; where others have begun it meanwhile nothing is written. */
int sink_file_write_head(struct sink_file *file, const struct value *head, struct weir_error *err);

/* Failures as those of the port's write(); what did not fit is cut off again. */
int sink_file_write(struct sink_file *file, const char *text, size_t n, struct weir_error *err);

/* Writes n bytes at `at`, or where the descriptor stands if that is < 0; how many, also on failure. */
int sink_write_all(int fd, const char *text, size_t n, off_t at, size_t *ret_written);

void sink_file_position(const struct sink_file *file, struct buf *out); /* nothing if it is not exact */
void sink_file_fini(struct sink_file *file);                            /* closes */

#endif
