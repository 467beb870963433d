/* SPDX-License-Identifier: MIT */
/*
 * A source of lines: what jsonl, lines, csv and stdin have in common.  The calls are those of the port (port/source.h).
 *
 * To add a format: a function that makes an item of a line, and where a line is not simply what ends with LF one that
 * finds its end.
 */
#ifndef SOURCE_TEXT_H
#define SOURCE_TEXT_H

#include "files/reader.h"
#include "port/source.h"

struct source_format {
	source_end_fn find_end; /* with `arg`; NULL: each LF */
	/* Makes an item of a line that is not empty: SOURCE_ITEM; SOURCE_BAD with item->why, the excerpt is made by the
	 * caller; SOURCE_END when it is none (a header); or a negative code with err filled. */
	int (*take)(void *arg, const struct source_line *line, struct item *item, struct weir_error *err);
	/* A file begins whose lines will come, one of several.  May be NULL. */
	void (*begin)(void *arg, const char *path);
	void (*close)(void *arg); /* may be NULL */
};

extern const struct source_format source_jsonl_format, source_lines_format; /* a JSON value; text that becomes one */

/* As source_reader_open(), or with the files of a pattern (files/inputs.h), which are read one after the other.  arg is
 * the source's from then on, closed on failure, too. */
int source_text_open(const struct source_input *input, const struct source_format *format, void *arg,
		     struct source **ret_source, struct weir_error *err);

/* Has the format take the first line of the first file that is not empty, if that is a regular file; of others it is
 * taken by the first next(), since it may have to be waited for. */
int source_text_begin(struct source *source, struct weir_error *err);

int source_text_next(struct source *source, struct item *item, struct weir_error *err, weir_nsec deadline);
int64_t source_text_total(const struct source *source, bool *ret_exact);
bool source_text_identify(const struct source *source, struct buf *identity);
int source_text_resume(struct source *source, const char *identity, const struct source_cursor *cursor, bool adopt,
		       struct weir_error *err);
void source_text_cursor(const struct source *source, struct source_cursor *ret_cursor);
void source_text_close(struct source *source);

/* The port's table of such a source. */
#define SOURCE_TEXT_OPS(open_fn)                                                                                       \
	{                                                                                                              \
		.open = (open_fn), .next = source_text_next, .total = source_text_total,                               \
		.identify = source_text_identify, .resume = source_text_resume, .cursor = source_text_cursor,          \
		.close = source_text_close                                                                             \
	}

/* For formats.  The source of a bad line: WEIR_ENOMEM. */
int source_set_excerpt(struct item *item, const struct source_line *line);

/* Whether there is a byte that no text may hold; then item->why says which and where. */
bool source_find_bad_byte(const struct source_line *line, struct item *item);

/* Of the key `encoding`, a KEY_ENUM of CHARSET_CHOICES.  It has no fallback, which would be written into the pipeline
 * that the state keeps: a run that an earlier version began could not be continued. */
#define SOURCE_ENCODING_TEXT                                                                                           \
	"Encoding of the text (default: utf-8); a byte order mark is dropped; utf-16 without one is little-endian"

#endif
