/* SPDX-License-Identifier: MIT */
/*
 * Lines from a file, a pipe, a terminal or a socket, in bounded memory: at most 1.3 MiB, however long a line is.
 *
 * A line ends with LF or CR LF, the last one perhaps with neither.  A byte order mark at the very beginning is dropped.
 * All calls belong on one fiber.
 */
#ifndef SOURCE_READER_H
#define SOURCE_READER_H

#include <weir/weir.h>

#define SOURCE_LINE_MAX    ((size_t)1 << 20) /* bytes of a line without its end */
#define SOURCE_EXCERPT_MAX ((size_t)512)

struct source_reader;

struct source_line {
	const char *text; /* borrowed until the next call; of a line that is too long its first SOURCE_EXCERPT_MAX */
	size_t len;
	uint64_t number; /* from 1; empty lines count */
	bool too_long;
};

/* How far reading has come. */
struct source_progress {
	int64_t total_bytes; /* of a regular file, counted from where reading began; else -1 */
	uint64_t bytes;      /* of the lines that were handed out */
	bool ended;
};

/* path is borrowed for the life of the reader; NULL is the standard input.  -ENOENT and what else the system says, or
 * WEIR_ENOMEM, with err->text.  May block for as long as opening a file takes. */
int source_reader_open(const char *path, struct source_reader **ret_reader, struct weir_error *err);

/* 1 and a line, 0 at the end, or a negative code with err->text.  Suspends; after WEIR_ECANCELED and the like the next
 * call goes on where this one stopped. */
int source_reader_next(struct source_reader *reader, struct source_line *ret_line, struct weir_error *err,
		       weir_nsec deadline);

void source_reader_progress(const struct source_reader *reader, struct source_progress *ret_progress);

void source_reader_close(struct source_reader *reader); /* NULL is fine */

#endif
