/* SPDX-License-Identifier: MIT */
/*
 * Lines from a file, a pipe, a terminal or a socket, in bounded memory: at most 1.3 MiB, however long a line is.
 *
 * A line ends with LF or CR LF, the last one perhaps with neither; with a rule of one's own it may be a record that
 * goes over several.  A byte order mark at the very beginning is dropped.  All calls belong on one fiber at a time.
 */
#ifndef SOURCE_READER_H
#define SOURCE_READER_H

#include <weir/weir.h>

#include "source/file.h"

#define SOURCE_LINE_MAX    ((size_t)1 << 20) /* bytes of a line without its end */
#define SOURCE_EXCERPT_MAX ((size_t)512)

struct source_reader;

struct source_line {
	const char *text; /* borrowed until the next call; of a line that is too long its first SOURCE_EXCERPT_MAX */
	size_t len;
	uint64_t number; /* of its first line, from 1; empty lines count */
	uint64_t breaks; /* line ends inside it */
	bool too_long;
};

/* Looks at n more bytes for the LF that ends the line: where it is, or NULL.  *state is 0 at the beginning of a line
 * and kept from call to call within it; *breaks is to be raised by the LFs that were passed over. */
typedef const char *(*source_end_fn)(const void *arg, unsigned *state, const char *text, size_t n, uint64_t *breaks);

/* A place behind a line. */
struct source_place {
	uint64_t offset; /* in bytes; of a regular file its own, else from where reading began */
	uint64_t lines;  /* up to here, from where reading began */
};

/* How far reading has come. */
struct source_progress {
	int64_t total_bytes; /* of a regular file, counted from where reading began; else -1 */
	uint64_t bytes;      /* of the lines that were handed out */
	bool ended;
};

/* path is borrowed for the life of the reader, as is arg; NULL is the standard input.  find_end NULL: each LF.
 * -ENOENT and what else the system says, or WEIR_ENOMEM, with err->text.  May block for as long as opening a file
 * takes. */
int source_reader_open(const char *path, source_end_fn find_end, const void *arg, struct source_reader **ret_reader,
		       struct weir_error *err);

/* 1 and a line, 0 at the end, or a negative code with err->text.  Suspends; after WEIR_ETIMEDOUT, WEIR_ECANCELED and
 * the like the next call goes on where this one stopped: a read that a thread is at goes on meanwhile. */
int source_reader_next(struct source_reader *reader, struct source_line *ret_line, struct weir_error *err,
		       weir_nsec deadline);

/* Goes to a place in a regular file.  WEIR_EINVAL when it is not behind a line (any more). */
int source_reader_goto(struct source_reader *reader, const struct source_place *place, struct weir_error *err);

/* The place behind the line that was handed out last. */
void source_reader_place(const struct source_reader *reader, struct source_place *ret_place);
void source_reader_progress(const struct source_reader *reader, struct source_progress *ret_progress);
const struct source_file *source_reader_file(const struct source_reader *reader);

void source_reader_close(struct source_reader *reader); /* waits for a read under way; NULL is fine */

#endif
