/* SPDX-License-Identifier: MIT */
/*
 * Text in other encodings, made into UTF-8.  What cannot be decoded is not replaced in silence: in its place stands
 * CHARSET_BAD, a byte that UTF-8 never has, and behind it the bytes in hexadecimal, such as "<81>".
 *
 * Nothing here waits or reads; it belongs on a thread, since iconv_open() takes much stack.
 */
#ifndef CODEC_CHARSET_H
#define CODEC_CHARSET_H

#include "codec/codec.h"

enum charset { CHARSET_UTF_8, CHARSET_LATIN1, CHARSET_WINDOWS_1252, CHARSET_UTF_16 };

#define CHARSET_CHOICES   "utf-8|latin1|windows-1252|utf-16" /* in the order of the enum */
#define CHARSET_BAD       0xFF
#define CHARSET_BAD_BYTES ((size_t)8) /* that such a place takes at most */

const char *charset_name(enum charset charset);

struct charset_reader;

/* Of another charset than CHARSET_UTF_8.  WEIR_ENOMEM. */
int charset_reader_new(enum charset charset, struct charset_reader **ret_reader);
void charset_reader_free(struct charset_reader *reader); /* NULL is fine */

/* Decodes the input as far as there is room, for at least CHARSET_BAD_BYTES; a character of which a part is missing
 * stays in the input, unless nothing follows (last).  UTF-16 is as its byte order mark says, else little-endian; the
 * mark comes out as one, too.  WEIR_EINVAL with err->text when the system does not know the charset. */
int charset_read(struct charset_reader *reader, struct codec_io *io, bool last, struct weir_error *err);

/* Whether there is a place in a line that could not be decoded: at which byte of the line as it was encoded, from 1,
 * and what was there, in hexadecimal. */
bool charset_find_bad(enum charset charset, const char *line, size_t n, size_t *ret_byte, char ret_hex[5]);

/* Whether text that begins so may be UTF-16, with a byte order mark or as ASCII characters that are two bytes long.
 * *ret_more: these are too few bytes to know. */
bool charset_is_utf_16(const char *bytes, size_t n, bool *ret_more);

#endif
