/* SPDX-License-Identifier: MIT */
/* A source of lines: what jsonl, lines and stdin have in common.  The calls are those of the port (port/source.h). */
#ifndef SOURCE_TEXT_H
#define SOURCE_TEXT_H

#include "port/source.h"

enum source_format {
	SOURCE_JSONL, /* each line is a JSON value */
	SOURCE_LINES, /* each line becomes a JSON string */
};

/* path as for source_reader_open(). */
int source_text_open(const char *path, enum source_format format, struct source **ret_source, struct weir_error *err);
int source_text_next(struct source *source, struct item *item, struct weir_error *err, weir_nsec deadline);
int64_t source_text_total(const struct source *source, bool *ret_exact);
bool source_text_identify(const struct source *source, struct buf *identity);
int source_text_resume(struct source *source, const char *identity, const struct source_cursor *cursor, bool adopt,
		       struct weir_error *err);
void source_text_cursor(const struct source *source, struct source_cursor *ret_cursor);
void source_text_close(struct source *source);

#endif
