/* SPDX-License-Identifier: MIT */
/* "did you mean": the known name that is closest to what was written. */
#ifndef DATA_NAMES_H
#define DATA_NAMES_H

#include <stddef.h>

#include "data/buf.h"

/* Names to choose from, in the order in which they are listed. */
struct names {
	const char *names[64];
	size_t n;
};

void names_add(struct names *names, const char *name);
bool names_have(const struct names *names, const char *name);

/* The closest name that is at most two typing errors away (one, in a name of three letters or less), or begins with the
 * word; the first of several; NULL if none. */
const char *names_closest(const struct names *names, const char *word);

/* `; did you mean "b"?` where a name is close, else empty; written to text, and returned. */
const char *names_hint(const struct names *names, const char *word, char text[80]);

/* Appends `, expected one of a, b, c` and, where a name is close, `; did you mean "b"?`, which stands alone if there
 * are more than eight. */
void names_describe(const struct names *names, const char *word, struct buf *out);

#endif
