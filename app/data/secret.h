/* SPDX-License-Identifier: MIT */
/*
 * Values that must not be shown: what a config took from ${env:X} and ${file:X}, what stands under a secret key, and
 * the tokens that a run is given.
 *
 * An upstream may send back what it was sent, in any of the forms in which it came: as it is, inside JSON, inside a
 * URL, as basic authentication.  So before a text that is about an item is kept or shown (reasons, evidence, notes), it
 * goes through secret_hide().  Outputs do not: they are the user's data.
 *
 * One list for the process, under a lock: any thread may ask.
 */
#ifndef PORT_SECRET_H
#define PORT_SECRET_H

#include <stdbool.h>
#include <stddef.h>

#define SECRET_BYTES_MIN 4 /* shorter values would hide half of every text */

/* Takes a copy of the value, and of its other forms.  Not kept: values shorter than SECRET_BYTES_MIN, blanks, and an
 * origin alone ("http://host:8080"), which is an address and no secret.  WEIR_ENOMEM. */
int secret_add(const char *value, size_t n);

/* The same of a value that a reference stands for: "${env:TOKEN}", "${file:/path}", or several with ":" between. */
int secret_add_reference(const char *value, size_t n, const char *reference);
/* What secret_add() took, once for each time: a token that is used no more. */
void secret_forget(const char *value, size_t n);

/* Replaces each secret in the n bytes by "***", in place: the new length, which is never more.  A beginning of a secret
 * at the end of the text, or before "..." there, counts too, from SECRET_BYTES_MIN on: the text may have been cut. */
size_t secret_hide(char *text, size_t n);

/* The same for a text that ends with a NUL. */
void secret_hide_text(char *text);

/* Where the first secret in the text begins (n: nowhere), its bytes, and the reference that stands for just these:
 * borrowed; NULL: none does, as for another form or a beginning. */
size_t secret_find(const char *text, size_t n, size_t *ret_bytes, const char **ret_reference);

/* Whether a value with such a name is one, most likely: Authorization, X-Api-Key, Cookie. */
bool secret_is_name(const char *name);

/* Forgets all; for tests. */
void secret_clear(void);

#endif
