/* SPDX-License-Identifier: MIT */
/* What each codec must be able to do. */
#ifndef CODEC_OPS_H
#define CODEC_OPS_H

#include "codec/codec.h"

struct codec_ops {
	const char *name, *ending; /* NULL: no file ends so */
	bool (*begins)(const unsigned char *bytes,
		       size_t n); /* n <= CODEC_MAGIC_BYTES bytes of it, as far as they go; NULL: no bytes say it */
	size_t magic_bytes;
	void *(*open)(void); /* NULL: no memory */
	/* As codec_read().  *whole: whether the input ended with a member or frame so far; the call updates it. */
	int (*decode)(void *state, struct codec_io *io, bool *whole, struct weir_error *err);
	void (*close)(void *state);
	int (*pack)(const char *text, size_t n, bool is_fast, struct buf *out); /* NULL: it is only read */
};

extern const struct codec_ops codec_gzip, codec_zstd, codec_deflate, codec_brotli;

#endif
