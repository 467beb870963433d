/* SPDX-License-Identifier: MIT */
/*
 * From the raw bytes of a source to its text in UTF-8: pure, in bounded memory.
 *
 *   raw bytes --> unpacked (gzip, zstd) --> transcoded --> the caller's room
 *
 * Either stage may be missing, not both: then there is nothing to decode.
 */
#ifndef SOURCE_DECODE_H
#define SOURCE_DECODE_H

#include <sys/types.h>

#include "codec/charset.h"
#include "codec/codec.h"

struct source_decode;

/* The raw bytes to come begin at byte `begin` of their file, for messages.  WEIR_ENOMEM. */
int source_decode_new(enum codec codec, enum charset charset, uint64_t begin, struct source_decode **ret_decode);
void source_decode_free(struct source_decode *decode); /* NULL is fine */

/* Where raw bytes are to be put, and how many there is room for; called when source_decode() had no more to give. */
char *source_decode_room(struct source_decode *decode, size_t *ret_room);
/* So many were put there; 0: there are no more. */
void source_decode_feed(struct source_decode *decode, size_t n);
bool source_decode_ended(const struct source_decode *decode); /* that was said */

/* Text: how many bytes of it; 0: it needs more raw bytes, or has given all.  Or a failure with err->text, which stays:
 * WEIR_EDATA for packed data that is damaged or cut short; what was before that came in earlier calls.  What cannot be
 * transcoded is marked (codec/charset.h).  On a thread; room for at least CHARSET_BAD_BYTES. */
ssize_t source_decode(struct source_decode *decode, char *to, size_t room, struct weir_error *err);

/* Raw bytes that text was made of. */
uint64_t source_decode_used(const struct source_decode *decode);

#endif
