/* SPDX-License-Identifier: MIT */
/*
 * The bytes of a file, a pipe, a terminal or a socket, in the order in which they come, as UTF-8: unpacked when they
 * are gzip or zstd data, which is known by its first bytes, and transcoded from the encoding that was said.
 *
 * A regular file is read on a thread, so that a slow disk stops no other fiber; decoding happens on a thread, too. What
 * can be polled is read without blocking.  All calls belong on one fiber at a time.
 */
#ifndef SOURCE_BYTES_H
#define SOURCE_BYTES_H

#include <weir/weir.h>

#include "codec/charset.h"
#include "files/input.h"

struct source_bytes;

/* file is borrowed for the life of the bytes, and open.  Failures with err->text. */
int source_bytes_open(struct source_file *file, enum charset charset, struct source_bytes **ret_bytes,
		      struct weir_error *err);

/* How many bytes came, 0 at the end, or a negative code with err->text: WEIR_EIO when a file was cut while it was read,
 * WEIR_EDATA when packed data is damaged or ends too early (what was before that came before).
 * Suspends.  After WEIR_ETIMEDOUT, WEIR_ECANCELED and the like a thread may still be writing to `to` (it is busy then):
 * that room must stay until a later call returns what came into it, whatever `to` that call has. */
ssize_t source_bytes_read(struct source_bytes *bytes, char *to, size_t room, struct weir_error *err,
			  weir_nsec deadline);
bool source_bytes_busy(const struct source_bytes *bytes);

/* Reading of a regular file continues at this byte, or at an earlier one, *ret_offset: what is decoded begins at its
 * beginning.  Waits for a read under way and forgets what it brings. */
int source_bytes_goto(struct source_bytes *bytes, uint64_t offset, uint64_t *ret_offset, struct weir_error *err);

/* How many bytes of a regular file came so far, from where reading began; of what is decoded those that the text was
 * made of. */
uint64_t source_bytes_used(const struct source_bytes *bytes);
bool source_bytes_decoded(const struct source_bytes *bytes);

void source_bytes_close(struct source_bytes *bytes); /* waits for a read under way; NULL is fine */

#endif
