/* SPDX-License-Identifier: MIT */
/*
 * Packed data: gzip (RFC 1952) and zstd (RFC 8878).  Any number of members or frames, one after the other, are one
 * text.  deflate (RFC 1950, and 1951 without a header) and brotli (RFC 7932) are only read, and cannot be recognised:
 * they come with answers of HTTP servers, which name them.
 *
 * Nothing here waits or reads.  Decoding and packing take as long as they take, and belong on a thread.
 *
 * To add a codec: a file with its struct codec_ops, and a row in codec.c.
 */
#ifndef CODEC_CODEC_H
#define CODEC_CODEC_H

#include <weir/base.h>

#include "data/buf.h"

enum codec { CODEC_NONE, CODEC_GZIP, CODEC_ZSTD, CODEC_DEFLATE, CODEC_BROTLI };

#define CODEC_MAGIC_BYTES 4 /* as many say for certain what follows */

/* What bytes that begin so are packed with.  *ret_more: these are too few to know. */
enum codec codec_of_bytes(const char *bytes, size_t n, bool *ret_more);
enum codec codec_of_path(const char *path); /* by its ending, .gz or .zst */
const char *codec_name(enum codec codec);   /* "gzip" */

/* Input, and room for output: what a call has used of them is taken off their fronts. */
struct codec_io {
	const char *in;
	size_t in_bytes;
	char *out;
	size_t room;
};

struct codec_reader;

int codec_reader_new(enum codec codec, struct codec_reader **ret_reader); /* WEIR_ENOMEM */

/* Decodes some of the input; it uses none and makes nothing only when it needs more input.  Without input it gives what
 * it still holds.  WEIR_EDATA: the input is damaged about there, err->text says how; WEIR_EINVAL: it asks for too much
 * memory; WEIR_ENOMEM.  A call that fails gives nothing, since what it made may be wrong, and the reader is of no
 * further use. */
int codec_read(struct codec_reader *reader, struct codec_io *io, struct weir_error *err);

/* Whether the input may end here: a member or frame has just ended. */
bool codec_reader_whole(const struct codec_reader *reader);
void codec_reader_free(struct codec_reader *reader); /* NULL is fine */

/* Appends a member or frame of gzip or zstd that holds the text.  WEIR_ENOMEM. */
int codec_pack(enum codec codec, const char *text, size_t n, struct buf *out);

/* The same in less than half the time, with some more bytes. */
int codec_pack_fast(enum codec codec, const char *text, size_t n, struct buf *out);

#endif
