/* SPDX-License-Identifier: MIT */
/* Text as a command line has it, to be copied from a screen into a shell. */
#ifndef DATA_SHELL_H
#define DATA_SHELL_H

#include "data/buf.h"

/* Appends the text as one word: as it is, in quotes, or as bash's $'\n' where a terminal would not show it as it is.  A
 * secret in it (secret.h) becomes what it came from, "$TOKEN" or "$(cat /path)", or *** if that is not known.  The text
 * has no NUL. */
void shell_add_word(struct buf *out, const char *text, size_t n);

#endif
