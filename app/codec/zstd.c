/* SPDX-License-Identifier: MIT */
/*
 * zstd, by libzstd: the only file that includes it.
 *
 * A frame may ask for a window of any size, and memory for it; what needs more than WINDOW_BITS is refused.  The
 * decoder is given as much as it asks for, a block at a time, so that the place of a damage is known to a block.
 */
#include <limits.h>
#include <stdlib.h>
#include <zstd.h>
#include <zstd_errors.h>

#include "codec/ops.h"

enum { WINDOW_BITS = 27 }; /* 128 MiB */
enum { LEVEL = 3, FAST_LEVEL = 1 };

struct zstd {
	ZSTD_DCtx *ctx;
	size_t first;  /* bytes by which a frame is recognised */
	size_t wanted; /* that the decoder asks for; 0: a new frame */
};

/* A frame, or a skippable frame, which has 16 magic numbers. */
static bool begins(const unsigned char *bytes, size_t n)
{
	static const unsigned char frame[] = {0x28, 0xB5, 0x2F, 0xFD}, skippable[] = {0x50, 0x2A, 0x4D, 0x18};
	bool is_frame = true, is_skippable = true;
	for (size_t i = 0; i < n; i++) {
		is_frame = is_frame && bytes[i] == frame[i];
		is_skippable = is_skippable && (i ? bytes[i] : bytes[i] & 0xF0) == skippable[i];
	}
	return is_frame || is_skippable;
}

static void close_zstd(void *state)
{
	struct zstd *zstd = state;
	ZSTD_freeDCtx(zstd->ctx);
	free(zstd);
}

static void *open_zstd(void)
{
	struct zstd *zstd = calloc(1, sizeof *zstd);
	if (!zstd)
		return NULL;
	zstd->ctx = ZSTD_createDCtx();
	if (!zstd->ctx) {
		close_zstd(zstd);
		return NULL;
	}
	ZSTD_DCtx_setParameter(zstd->ctx, ZSTD_d_windowLogMax, WINDOW_BITS);
	zstd->first = ZSTD_initDStream(zstd->ctx);
	return zstd;
}

static int refuse(size_t rc, struct weir_error *err)
{
	switch (ZSTD_getErrorCode(rc)) {
	case ZSTD_error_memory_allocation:
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	case ZSTD_error_frameParameter_windowTooLarge:
		return weir_error_set(err, WEIR_EINVAL,
				      "its zstd window is over 128 MiB; compress it again with --long=27 or less");
	default:
		return weir_error_set(err, WEIR_EDATA, "%s", ZSTD_getErrorName(rc));
	}
}

static int decode(void *state, struct codec_io *io, bool *whole, struct weir_error *err)
{
	struct zstd *zstd = state;
	size_t wanted = zstd->wanted ? zstd->wanted : zstd->first;
	ZSTD_inBuffer in = {io->in, wanted < io->in_bytes ? wanted : io->in_bytes, 0};
	ZSTD_outBuffer out = {io->out, io->room, 0};
	size_t rc = ZSTD_decompressStream(zstd->ctx, &out, &in);
	if (ZSTD_isError(rc))
		return refuse(rc, err);
	io->in += in.pos;
	io->in_bytes -= in.pos;
	io->out += out.pos;
	io->room -= out.pos;
	zstd->wanted = rc;
	*whole = rc == 0;
	return 0;
}

static int pack(const char *text, size_t n, bool is_fast, struct buf *out)
{
	ZSTD_CCtx *ctx = ZSTD_createCCtx();
	size_t bound = ZSTD_compressBound(n), packed = 0;
	char *room = ctx ? buf_reserve(out, bound) : NULL;
	if (room) {
		ZSTD_CCtx_setParameter(ctx, ZSTD_c_compressionLevel, is_fast ? FAST_LEVEL : LEVEL);
		ZSTD_CCtx_setParameter(ctx, ZSTD_c_checksumFlag, 1);
		packed = ZSTD_compress2(ctx, room, bound, text, n);
	}
	ZSTD_freeCCtx(ctx);
	if (!room || ZSTD_isError(packed))
		return WEIR_ENOMEM;
	out->len += packed;
	out->data[out->len] = 0;
	return 0;
}

const struct codec_ops codec_zstd = {
	.name = "zstd",
	.ending = ".zst",
	.begins = begins,
	.magic_bytes = 4,
	.open = open_zstd,
	.decode = decode,
	.close = close_zstd,
	.pack = pack,
};
