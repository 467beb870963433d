/* SPDX-License-Identifier: MIT */
/*
 * Text with holes: "http://host/orders/${.order_id}".  A hole is a path into the item (json.h), or "meta" and a path
 * into what is known of the item.  Inside other text a value is put in as text (strings without quotes, numbers as
 * written, others as compact JSON); in a URL it is percent-encoded, unless the hole is the whole template or begins
 * with "raw:".  In the path of a file it is a part of it, and may be several with "raw:".
 * "$${" is a literal "${".
 *
 * In JSON a value cannot end the string that it stands in, or add a field: between quotes its text is escaped,
 * elsewhere it is put in as JSON.
 *
 *     {"v": "${.v}", "n": ${.n}}     {"v": "a \"b\"", "n": "c"}
 */
#ifndef PORT_TEMPLATE_H
#define PORT_TEMPLATE_H

#include "data/buf.h"
#include "data/json.h"

struct template;

enum template_flags {
	/* Percent-encode what fills a hole, unless the hole is the whole template or raw; refuse what makes a part of
	 * the path ".", ".." or empty (raw: but for empty), for servers take that for another path. */
	TEMPLATE_URL = 1u << 0,
	TEMPLATE_HEADER = 1u << 1, /* refuse CR, LF and NUL in what fills a hole */
	/* Refuse what makes a part of a file's path ".", ".." or empty, and "/" in what fills a hole that is not raw.
	 * So what stands before the first hole, up to its last "/", is a folder that no value leads out of. */
	TEMPLATE_PATH = 1u << 2,
};

/* What may begin a path after "meta". */
#define TEMPLATE_META_NAMES                                                                                            \
	{                                                                                                              \
		"position", "key", "attempt", "status", "headers", "url", "latency_ms"                                 \
	}

/* What fills the holes.  item may be NULL if template_is_constant(), meta unless template_has_meta(). */
struct template_input {
	const struct json *item, *meta;
};

/* WEIR_EINVAL with err->text and column (from 1, in the text); WEIR_ENOMEM. */
int template_compile(const char *text, unsigned flags, struct template **ret_template, struct weir_error *err);
void template_free(struct template *template);

/* Appends the filled-in text.  WEIR_EDATA with err->text when a path leads nowhere or to null, or a value may not stand
 * in a header or a path; WEIR_ENOMEM. */
int template_render(const struct template *template, const struct template_input *input, struct buf *out,
		    struct weir_error *err);

/* The same, of a template that is the text of a JSON document. */
int template_render_json(const struct template *template, const struct template_input *input, struct buf *out,
			 struct weir_error *err);

/* Appends what template_render_json() makes of an item that has a text at each path.  WEIR_ENOMEM. */
int template_sample_json(const struct template *template, struct buf *out);

bool template_is_constant(const struct template *template);
bool template_has_meta(const struct template *template);
bool template_starts_with_hole(const struct template *template); /* then its beginning comes from the item */
const char *template_text(const struct template *template);      /* as it was written */
const char *template_beginning(const struct template *template); /* what all that it makes begin with */

#endif
