/* SPDX-License-Identifier: MIT */
#include "codec/codec.h"

#include <stdlib.h>
#include <string.h>

#include "codec/ops.h"

struct codec_reader {
	const struct codec_ops *ops;
	void *state;
	bool whole;
};

static const struct codec_ops *const codecs[] = {
	[CODEC_GZIP] = &codec_gzip,
	[CODEC_ZSTD] = &codec_zstd,
	[CODEC_DEFLATE] = &codec_deflate,
	[CODEC_BROTLI] = &codec_brotli,
};

enum { CODECS = sizeof codecs / sizeof codecs[0] };

enum codec codec_of_bytes(const char *bytes, size_t n, bool *ret_more)
{
	*ret_more = false;
	for (int i = CODEC_NONE + 1; i < CODECS; i++) {
		size_t look = n < codecs[i]->magic_bytes ? n : codecs[i]->magic_bytes;
		if (!codecs[i]->begins || !codecs[i]->begins((const unsigned char *)bytes, look))
			continue;
		if (look == codecs[i]->magic_bytes)
			return (enum codec)i;
		*ret_more = true;
	}
	return CODEC_NONE;
}

enum codec codec_of_path(const char *path)
{
	size_t n = strlen(path);
	for (int i = CODEC_NONE + 1; i < CODECS; i++) {
		size_t ending = codecs[i]->ending ? strlen(codecs[i]->ending) : n;
		if (n > ending && strcmp(path + n - ending, codecs[i]->ending) == 0)
			return (enum codec)i;
	}
	return CODEC_NONE;
}

const char *codec_name(enum codec codec)
{
	return codecs[codec]->name;
}

int codec_reader_new(enum codec codec, struct codec_reader **ret_reader)
{
	struct codec_reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		return WEIR_ENOMEM;
	reader->ops = codecs[codec];
	reader->state = reader->ops->open();
	if (!reader->state) {
		free(reader);
		return WEIR_ENOMEM;
	}
	*ret_reader = reader;
	return 0;
}

int codec_read(struct codec_reader *reader, struct codec_io *io, struct weir_error *err)
{
	if (reader->whole && !io->in_bytes)
		return 0;
	return reader->ops->decode(reader->state, io, &reader->whole, err);
}

bool codec_reader_whole(const struct codec_reader *reader)
{
	return reader->whole;
}

void codec_reader_free(struct codec_reader *reader)
{
	if (!reader)
		return;
	reader->ops->close(reader->state);
	free(reader);
}

int codec_pack(enum codec codec, const char *text, size_t n, struct buf *out)
{
	return codecs[codec]->pack(text, n, false, out);
}

int codec_pack_fast(enum codec codec, const char *text, size_t n, struct buf *out)
{
	return codecs[codec]->pack(text, n, true, out);
}
