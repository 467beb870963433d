/* SPDX-License-Identifier: MIT */
/*
 * Text with holes: "http://host/orders/${.order_id}".  A hole is a path into the item (json.h).  Inside other text a
 * value is put in as text (strings without quotes, numbers as written, others as compact JSON); in a URL it is
 * percent-encoded, unless the hole is the whole template.  "$${" is a literal "${".
 */
#ifndef PORT_TEMPLATE_H
#define PORT_TEMPLATE_H

#include "port/buf.h"
#include "port/json.h"

struct template;

enum template_flags {
	TEMPLATE_URL = 1u << 0,    /* percent-encode what fills a hole, unless the hole is the whole template */
	TEMPLATE_HEADER = 1u << 1, /* refuse CR, LF and NUL in what fills a hole */
};

/* WEIR_EINVAL with err->text and column (from 1, in the text); WEIR_ENOMEM. */
int template_compile(const char *text, unsigned flags, struct template **ret_template, struct weir_error *err);
void template_free(struct template *template);

/* Appends the filled-in text.  WEIR_EDATA with err->text when a path leads nowhere or to null, or a value may not stand
 * in a header; WEIR_ENOMEM.  item may be NULL if template_is_constant(). */
int template_render(const struct template *template, const struct json *item, struct buf *out, struct weir_error *err);

bool template_is_constant(const struct template *template);
bool template_starts_with_hole(const struct template *template); /* then its beginning comes from the item */
const char *template_text(const struct template *template);      /* as it was written */

#endif
