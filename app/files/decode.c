/* SPDX-License-Identifier: MIT */
#include "files/decode.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define RAW_BYTES ((size_t)256 << 10)
#define MID_BYTES ((size_t)64 << 10)
#define WHOLE     "put an intact copy in its place and resume with --adopt"

/* Bytes between two stages; those from start on were not used yet. */
struct decode_store {
	char *bytes;
	size_t start, end, room;
};

struct source_decode {
	enum codec codec;
	struct codec_reader *unpacks;      /* NULL: the bytes are not packed */
	struct charset_reader *transcodes; /* NULL: the text is UTF-8 */
	struct decode_store raw, mid;      /* mid: with both stages */
	uint64_t begin, used;              /* in the file: where raw bytes began; how many were used since */
	bool ended;
	struct weir_error failed; /* what all further calls answer */
};

static int store_init(struct decode_store *store, size_t room)
{
	store->bytes = malloc(room);
	store->room = room;
	return store->bytes ? 0 : WEIR_ENOMEM;
}

/* Room behind what is left, which moves to the beginning. */
static char *store_room(struct decode_store *store, size_t *ret_room)
{
	memmove(store->bytes, store->bytes + store->start, store->end - store->start);
	store->end -= store->start;
	store->start = 0;
	*ret_room = store->room - store->end;
	return store->bytes + store->end;
}

int source_decode_new(enum codec codec, enum charset charset, uint64_t begin, struct source_decode **ret_decode)
{
	struct source_decode *decode = calloc(1, sizeof *decode);
	if (!decode)
		return WEIR_ENOMEM;
	decode->codec = codec;
	decode->begin = begin;
	int code = store_init(&decode->raw, RAW_BYTES);
	if (!code && codec)
		code = codec_reader_new(codec, &decode->unpacks);
	if (!code && charset)
		code = charset_reader_new(charset, &decode->transcodes);
	if (!code && codec && charset)
		code = store_init(&decode->mid, MID_BYTES);
	if (code) {
		source_decode_free(decode);
		return code;
	}
	*ret_decode = decode;
	return 0;
}

void source_decode_free(struct source_decode *decode)
{
	if (!decode)
		return;
	codec_reader_free(decode->unpacks);
	charset_reader_free(decode->transcodes);
	free(decode->raw.bytes);
	free(decode->mid.bytes);
	free(decode);
}

char *source_decode_room(struct source_decode *decode, size_t *ret_room)
{
	return store_room(&decode->raw, ret_room);
}

void source_decode_feed(struct source_decode *decode, size_t n)
{
	decode->raw.end += n;
	decode->ended = !n;
}

bool source_decode_ended(const struct source_decode *decode)
{
	return decode->ended;
}

uint64_t source_decode_used(const struct source_decode *decode)
{
	return decode->used;
}

static struct codec_io io_from(const struct decode_store *store, char *to, size_t room)
{
	return (struct codec_io){store->bytes + store->start, store->end - store->start, to, room};
}

/* What a stage has used of its input. */
static void use(struct source_decode *decode, struct decode_store *store, const struct codec_io *io)
{
	size_t start = (size_t)(io->in - store->bytes);
	if (store == &decode->raw)
		decode->used += start - store->start;
	store->start = start;
}

static void fail(struct source_decode *decode, int code, const struct weir_error *why)
{
	if (code == WEIR_EDATA)
		weir_error_set(&decode->failed, code, "%s data is damaged at byte %" PRIu64 " (%.100s); " WHOLE,
			       codec_name(decode->codec), decode->begin + decode->used, why->text);
	else
		decode->failed = *why;
}

/* Text of which the end of its member or frame was not seen yet may be wrong: of such as much as came in this call is
 * left out when the input turns out to be damaged. */
static size_t unpack(struct source_decode *decode, char *to, size_t room)
{
	struct codec_io io = io_from(&decode->raw, to, room);
	struct weir_error why = {0};
	const char *sure = to;
	bool more = true;
	int code = decode->failed.code;
	if (code)
		return 0;
	while (!code && more && io.room) {
		code = codec_read(decode->unpacks, &io, &why);
		use(decode, &decode->raw, &io);
		more = io.in_bytes;
		if (codec_reader_whole(decode->unpacks))
			sure = io.out;
	}
	if (!code)
		return room - io.room;
	fail(decode, code, &why);
	return (size_t)(sure - to);
}

/* From what is there; last: no more will be. */
static size_t transcode(struct source_decode *decode, struct decode_store *from, bool last, char *to, size_t room)
{
	struct codec_io io = io_from(from, to, room);
	struct weir_error why = {0};
	int code = charset_read(decode->transcodes, &io, last, &why);
	use(decode, from, &io);
	if (code)
		fail(decode, code, &why);
	return room - io.room;
}

static size_t unpack_and_transcode(struct source_decode *decode, char *to, size_t room)
{
	size_t made, unpacked, mid_room;
	do {
		char *mid = store_room(&decode->mid, &mid_room);
		unpacked = unpack(decode, mid, mid_room);
		decode->mid.end += unpacked;
		bool last = decode->ended && !unpacked && !decode->failed.code;
		made = transcode(decode, &decode->mid, last, to, room);
	} while (unpacked && !made);
	return made;
}

/* The end counts only behind a whole member. */
static int check_end(struct source_decode *decode)
{
	if (!decode->ended || !decode->unpacks || codec_reader_whole(decode->unpacks))
		return 0;
	return weir_error_set(&decode->failed, WEIR_EDATA,
			      "%s data is truncated: it ends at byte %" PRIu64 ", but more should follow; " WHOLE,
			      codec_name(decode->codec), decode->begin + decode->used);
}

ssize_t source_decode(struct source_decode *decode, char *to, size_t room, struct weir_error *err)
{
	size_t made;
	if (!decode->transcodes)
		made = unpack(decode, to, room);
	else if (decode->unpacks)
		made = unpack_and_transcode(decode, to, room);
	else
		made = transcode(decode, &decode->raw, decode->ended, to, room);
	if (made)
		return (ssize_t)made;
	int code = decode->failed.code ? decode->failed.code : check_end(decode);
	return code ? weir_error_set(err, code, "%s", decode->failed.text) : 0;
}
