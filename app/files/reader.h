/* SPDX-License-Identifier: MIT */
/*
 * Lines from a file, a pipe, a terminal or a socket, in bounded memory: at most 1.3 MiB, however long a line is, and
 * what decoding takes.
 *
 * A line ends with LF or CR LF, the last one perhaps with neither; with a rule of one's own it may be a record that
 * goes over several.  A byte order mark at the very beginning is dropped.  All calls belong on one fiber at a time.
 */
#ifndef SOURCE_READER_H
#define SOURCE_READER_H

#include <weir/weir.h>

#include "codec/charset.h"
#include "files/input.h"

#define SOURCE_LINE_MAX    ((size_t)1 << 20) /* bytes of a line without its end */
#define SOURCE_EXCERPT_MAX ((size_t)512)

struct source_reader;

struct source_line {
	const char *text; /* borrowed until the next call; of a line that is too long its first SOURCE_EXCERPT_MAX */
	size_t len;
	uint64_t number; /* of its first line, from 1; empty lines count */
	uint64_t lines;  /* of the file that it goes over */
	bool too_long;
	enum charset charset; /* of the input; the text is UTF-8 */
	bool open;            /* the input ended in SOURCE_OPEN: its own end was still to come */
};

#define SOURCE_OPEN 0x100u

/* Looks at n more bytes for the LF that ends the line: where it is, or NULL.  *state is 0 at the beginning of a line
 * and kept from call to call within it, with the bit SOURCE_OPEN where an LF would be inside the line; *breaks is to be
 * raised by the LFs that were passed over. */
typedef const char *(*source_end_fn)(const void *arg, unsigned *state, const char *text, size_t n, uint64_t *breaks);

/* A place behind a line. */
struct source_place {
	uint64_t offset;   /* in bytes; of a regular file its own, else of the text in UTF-8 from where reading began */
	uint64_t lines;    /* up to here, from where reading began */
	uint32_t tail_crc; /* of the bytes before it, */
	unsigned tail_bytes; /* as many as these; 0: unknown */
	bool open;           /* the input ended there inside a line, as in source_line */
};

/* How far reading has come. */
struct source_progress {
	int64_t total_bytes; /* of a regular file, counted from where reading began; else -1 */
	uint64_t bytes;      /* of these, those of the lines that were handed out */
	uint64_t read_bytes; /* and those that were read so far */
	bool ended;
};

/* What is to be read. */
struct source_input {
	const char *path; /* NULL: the standard input */
	enum charset charset;
};

/* What input and arg point to is borrowed for the life of the reader.  find_end NULL: each LF.  -ENOENT and what else
 * the system says, WEIR_EINVAL for a file that looks like UTF-16 and should not be, or WEIR_ENOMEM, with err->text. May
 * block for as long as opening a file takes. */
int source_reader_open(const struct source_input *input, source_end_fn find_end, const void *arg,
		       struct source_reader **ret_reader, struct weir_error *err);

/* 1 and a line, 0 at the end, or a negative code with err->text.  Suspends; after WEIR_ETIMEDOUT, WEIR_ECANCELED and
 * the like the next call goes on where this one stopped: a read that a thread is at goes on meanwhile. */
int source_reader_next(struct source_reader *reader, struct source_line *ret_line, struct weir_error *err,
		       weir_nsec deadline);

/* Goes to a place in a regular file.  WEIR_EINVAL when the file does not reach to it, has other bytes before it, or no
 * end of a line there (any more).  Suspends. */
int source_reader_goto(struct source_reader *reader, const struct source_place *place, struct weir_error *err);

/* The place behind the line that was handed out last, without its tail: this is cheap, the tail costs microseconds. */
void source_reader_place(const struct source_reader *reader, struct source_place *ret_place);
/* Fills in the tail of a place that is behind the line that was handed out last, or before it. */
void source_reader_tail(const struct source_reader *reader, struct source_place *place);
void source_reader_progress(const struct source_reader *reader, struct source_progress *ret_progress);
const struct source_file *source_reader_file(const struct source_reader *reader);

void source_reader_close(struct source_reader *reader); /* waits for a read under way; NULL is fine */

#endif
