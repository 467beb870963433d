/* SPDX-License-Identifier: MIT */
/*
 * A body is decoded when it has come: so a request under way takes no more memory than its bytes, and one decoder at a
 * time is at work.  libcurl could do it, but it does not see that a body ends too early, refuses encodings that it does
 * not know, and has no limit.
 *
 * A few KiB can stand for gigabytes.  The limit of the body ends that; where it is set high, HTTP_RATIO does: what real
 * data compresses to is far below it.
 */
#include "http/encoding.h"

#include "codec/codec.h"
#include "data/buf.h"
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <weir/run.h>

#define PIECE_BYTES ((size_t)16 << 10)

enum { CODINGS_MOST = 4 }; /* one over the other */

static enum codec codec_of(const char *name, size_t n)
{
	static const struct {
		const char *name;
		enum codec codec;
	} known[] = {{"gzip", CODEC_GZIP},
		     {"x-gzip", CODEC_GZIP},
		     {"deflate", CODEC_DEFLATE},
		     {"br", CODEC_BROTLI},
		     {"zstd", CODEC_ZSTD}};
	for (size_t i = 0; i < sizeof known / sizeof *known; i++)
		if (strlen(known[i].name) == n && !strncasecmp(name, known[i].name, n))
			return known[i].codec;
	return CODEC_NONE;
}

/* The codecs of a list, in the order in which the server has applied them; 0: there are none, more than CODINGS_MOST,
 * or one that is not known. */
static size_t read_list(const char *list, enum codec codecs[CODINGS_MOST])
{
	static const char ends[] = ", ", plain[] = "identity";
	size_t count = 0, n;
	for (const char *name = list + strspn(list, ends); *name; name += n + strspn(name + n, ends)) {
		n = strcspn(name, ends);
		if (n == strlen(plain) && !strncasecmp(name, plain, n))
			continue;
		enum codec codec = codec_of(name, n);
		if (codec == CODEC_NONE || count == CODINGS_MOST)
			return 0;
		codecs[count++] = codec;
	}
	return count;
}

bool http_codec(const char *encoding, enum codec *ret_codec)
{
	enum codec codecs[CODINGS_MOST];
	size_t count = read_list(encoding, codecs);
	*ret_codec = count == 1 ? codecs[0] : CODEC_NONE;
	return count < 2;
}

bool http_codec_follows(enum codec codec, const struct codec_io *io, bool is_all)
{
	bool more = false;
	return io->in_bytes && (codec_of_bytes(io->in, io->in_bytes, &more) == codec || (more && !is_all));
}

/* 0; -EFBIG: there is more than `most`; WEIR_EDATA, WEIR_EINVAL with err->text, WEIR_ENOMEM. */
static int decode(enum codec codec, const struct buf *from, size_t most, struct buf *out, struct weir_error *err)
{
	struct codec_reader *reader;
	struct codec_io io = {.in = from->data, .in_bytes = from->len};
	int error = codec_reader_new(codec, &reader);
	if (error < 0)
		return error;
	for (size_t in = 0, made = 1; error == 0 && (in != io.in_bytes || made);) {
		in = io.in_bytes;
		io.out = buf_reserve(out, PIECE_BYTES);
		io.room = PIECE_BYTES;
		error = io.out ? codec_read(reader, &io, err) : WEIR_ENOMEM;
		made = PIECE_BYTES - io.room;
		if (error)
			break;
		out->len += made;
		out->data[out->len] = 0;
		if (out->len > most)
			error = -EFBIG;
		if (codec_reader_whole(reader) && !http_codec_follows(codec, &io, true))
			break;
	}
	if (!error && !codec_reader_whole(reader))
		error = weir_error_set(err, WEIR_EDATA, "it ends too early");
	codec_reader_free(reader);
	return error;
}

/* Takes the codings off, the last one first.  On failure text is empty. */
static int decode_all(const enum codec *codecs, size_t count, size_t most, struct buf *text, struct weir_error *err)
{
	int error = 0;
	while (count-- && error == 0 && text->len) {
		struct buf out = {0};
		error = decode(codecs[count], text, most, &out, err);
		buf_fini(text);
		*text = out;
	}
	if (error < 0)
		buf_fini(text);
	return error;
}

void http_decode(struct http_response *response, size_t most)
{
	enum codec codecs[CODINGS_MOST];
	size_t count = read_list(response->encoding, codecs);
	if (!count || !response->body_bytes)
		return;
	struct buf text = {.data = response->body, .len = response->body_bytes};
	struct weir_error err = {0};
	size_t room = response->body_bytes < SIZE_MAX / HTTP_RATIO ? response->body_bytes * HTTP_RATIO : SIZE_MAX;
	if (room < HTTP_RATIO_FROM)
		room = HTTP_RATIO_FROM;
	int error = decode_all(codecs, count, most < room ? most : room, &text, &err);
	response->encoded_bytes = response->body_bytes;
	response->body_bytes = 0;
	response->body = error < 0 ? NULL : buf_take(&text, &response->body_bytes);
	if (error == -EFBIG) {
		response->failure = HTTP_TOO_LARGE;
		snprintf(response->detail, sizeof response->detail, "%s", most <= room ? "body" : "ratio");
	} else if (error < 0) {
		response->failure = HTTP_PROTOCOL;
		snprintf(response->detail, sizeof response->detail, "the body cannot be decoded (%s): %.90s",
			 response->encoding, err.text[0] ? err.text : weir_strerror(error));
	}
	buf_fini(&text);
}
