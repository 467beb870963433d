/* SPDX-License-Identifier: MIT */
/*
 * gzip and deflate, by zlib: the only file that includes it.
 *
 * "deflate" is a stream with a zlib header, says HTTP; some servers leave the header out.  The first two bytes tell.
 */
#include <limits.h>
#include <stdlib.h>
#include <zlib.h>

#include "codec/ops.h"

/* Window bits: the largest window, and a gzip header, a zlib header, or none. */
enum { GZIP_ONLY = 15 + 16, ZLIB_ONLY = 15, NO_HEADER = -15 };

/* The last one that looks for no better match; of much alike text it is faster than those before it. */
enum { FAST_LEVEL = 3 };

static bool begins(const unsigned char *bytes, size_t n)
{
	return (n < 1 || bytes[0] == 0x1F) && (n < 2 || bytes[1] == 0x8B);
}

static void *open_with(int window_bits)
{
	z_stream *z = calloc(1, sizeof *z);
	if (z && inflateInit2(z, window_bits) == Z_OK)
		return z;
	free(z);
	return NULL;
}

static void *open_gzip(void)
{
	return open_with(GZIP_ONLY);
}

static void *open_deflate(void)
{
	return open_with(ZLIB_ONLY);
}

static void close_gzip(void *state)
{
	inflateEnd(state);
	free(state);
}

static unsigned limited(size_t n)
{
	return n < UINT_MAX ? (unsigned)n : UINT_MAX;
}

static int decode(void *state, struct codec_io *io, bool *whole, struct weir_error *err)
{
	z_stream *z = state;
	unsigned in = limited(io->in_bytes), room = limited(io->room);
	if (*whole)
		inflateReset(z);
	z->next_in = (Bytef *)(uintptr_t)io->in;
	z->avail_in = in;
	z->next_out = (Bytef *)io->out;
	z->avail_out = room;
	int rc = inflate(z, Z_NO_FLUSH);
	io->in += in - z->avail_in;
	io->in_bytes -= in - z->avail_in;
	*whole = rc == Z_STREAM_END;
	if (rc == Z_OK || rc == Z_STREAM_END || rc == Z_BUF_ERROR) {
		io->out += room - z->avail_out;
		io->room -= room - z->avail_out;
		return 0;
	}
	if (rc == Z_MEM_ERROR)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	return weir_error_set(err, WEIR_EDATA, "%s", z->msg ? z->msg : "it requires a dictionary");
}

static bool has_zlib_header(const char *bytes)
{
	const unsigned char *at = (const unsigned char *)bytes;
	return (at[0] & 0x0F) == Z_DEFLATED && (at[0] << 8 | at[1]) % 31 == 0;
}

static int decode_deflate(void *state, struct codec_io *io, bool *whole, struct weir_error *err)
{
	z_stream *z = state;
	bool is_first = z->total_in == 0 && !*whole;
	if (is_first && io->in_bytes < 2)
		return 0;
	if (is_first && !has_zlib_header(io->in))
		inflateReset2(z, NO_HEADER);
	return decode(state, io, whole, err);
}

static int pack(const char *text, size_t n, bool is_fast, struct buf *out)
{
	z_stream z = {0};
	if (deflateInit2(&z, is_fast ? FAST_LEVEL : Z_DEFAULT_COMPRESSION, Z_DEFLATED, GZIP_ONLY, 8,
			 Z_DEFAULT_STRATEGY) != Z_OK)
		return WEIR_ENOMEM;
	size_t bound = deflateBound(&z, n);
	char *room = n < UINT_MAX && bound < UINT_MAX ? buf_reserve(out, bound) : NULL;
	if (room) {
		z.next_in = (Bytef *)(uintptr_t)text;
		z.avail_in = (unsigned)n;
		z.next_out = (Bytef *)room;
		z.avail_out = (unsigned)bound;
		deflate(&z, Z_FINISH);
		out->len += bound - z.avail_out;
		out->data[out->len] = 0;
	}
	deflateEnd(&z);
	return room ? 0 : WEIR_ENOMEM;
}

const struct codec_ops codec_gzip = {
	.name = "gzip",
	.ending = ".gz",
	.begins = begins,
	.magic_bytes = 2,
	.open = open_gzip,
	.decode = decode,
	.close = close_gzip,
	.pack = pack,
};

const struct codec_ops codec_deflate = {
	.name = "deflate",
	.open = open_deflate,
	.decode = decode_deflate,
	.close = close_gzip,
};
