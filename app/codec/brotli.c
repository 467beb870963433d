/* SPDX-License-Identifier: MIT */
/*
 * brotli, by its decoder library: the only file that includes it.  Its windows are 16 MiB at most, since the larger
 * ones must be asked for.
 */
#include <brotli/decode.h>

#include "codec/ops.h"

static void *open_brotli(void)
{
	return BrotliDecoderCreateInstance(NULL, NULL, NULL);
}

static void close_brotli(void *state)
{
	BrotliDecoderDestroyInstance(state);
}

static int refuse(BrotliDecoderErrorCode code, struct weir_error *err)
{
	if (code <= BROTLI_DECODER_ERROR_ALLOC_CONTEXT_MODES && code >= BROTLI_DECODER_ERROR_ALLOC_BLOCK_TYPE_TREES)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	return weir_error_set(err, WEIR_EDATA, "%s", BrotliDecoderErrorString(code));
}

static int decode(void *state, struct codec_io *io, bool *whole, struct weir_error *err)
{
	const uint8_t *in = (const uint8_t *)io->in;
	uint8_t *out = (uint8_t *)io->out;
	size_t in_bytes = io->in_bytes, room = io->room;
	BrotliDecoderResult result = BrotliDecoderDecompressStream(state, &in_bytes, &in, &room, &out, NULL);
	if (result == BROTLI_DECODER_RESULT_ERROR)
		return refuse(BrotliDecoderGetErrorCode(state), err);
	*io = (struct codec_io){(const char *)in, in_bytes, (char *)out, room};
	*whole = result == BROTLI_DECODER_RESULT_SUCCESS;
	return 0;
}

const struct codec_ops codec_brotli = {
	.name = "brotli",
	.open = open_brotli,
	.decode = decode,
	.close = close_brotli,
};
