/* SPDX-License-Identifier: MIT */
/* "did you mean": the known name that is closest to what was written. */
#ifndef SPEC_SUGGEST_H
#define SPEC_SUGGEST_H

#include <stddef.h>

#include "port/buf.h"

/* Names to choose from, in the order in which they are listed. */
struct spec_names {
	const char *names[64];
	size_t n;
};

void spec_names_add(struct spec_names *names, const char *name);

/* The closest name that is at most two typing errors away (one, in a name of three letters or less); NULL if none. */
const char *spec_suggest(const struct spec_names *names, const char *word);

/* Appends `, expected one of a, b, c` and, where a name is close, `; did you mean "b"?`. */
void spec_names_describe(const struct spec_names *names, const char *word, struct buf *out);

#endif
