/* SPDX-License-Identifier: MIT */
#include "files/compress.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PIECE ((size_t)64 << 10)

struct compress_look {
	const struct sink_file *file;
	enum codec codec;
	struct codec_reader *reader;
	const char *head;
	size_t head_bytes, text_bytes; /* of text_bytes, those up to head_bytes were the head's */
	off_t at;                      /* in the file, behind what was unpacked */
	bool differs;
	char last;
	char in[PIECE], out[PIECE];
};

static int refuse(const struct compress_look *look, struct weir_error *err, const char *what)
{
	return weir_error_set(err, WEIR_EINVAL, "%.200s %s; repair it or name another file", look->file->name, what);
}

static void see_text(struct compress_look *look, size_t n)
{
	size_t left = look->text_bytes < look->head_bytes ? look->head_bytes - look->text_bytes : 0;
	left = left < n ? left : n;
	look->differs = look->differs || (left && memcmp(look->out, look->head + look->text_bytes, left) != 0);
	look->text_bytes += n;
	if (n)
		look->last = look->out[n - 1];
}

static int unpack(struct compress_look *look, size_t n, struct weir_error *err)
{
	struct codec_io io = {.in = look->in, .in_bytes = n};
	struct weir_error why = {0};
	char what[300];
	do {
		io.out = look->out;
		io.room = PIECE;
		size_t before = io.in_bytes;
		int code = codec_read(look->reader, &io, &why);
		look->at += (off_t)(before - io.in_bytes);
		if (code == WEIR_ENOMEM)
			return weir_error_set(err, code, "out of memory");
		snprintf(what, sizeof what, "contains damaged %s data at byte %lld (%.100s)", codec_name(look->codec),
			 (long long)look->at, why.text);
		if (code)
			return refuse(look, err, what);
		see_text(look, PIECE - io.room);
	} while (io.in_bytes || !io.room);
	return 0;
}

/* Pieces of the file until enough is known. */
static int unpack_file(struct compress_look *look, int fd, bool all, struct weir_error *err)
{
	bool more;
	char what[100];
	for (;;) {
		size_t left = (size_t)(look->file->off - look->at), most = left < PIECE ? left : PIECE;
		ssize_t n = pread(fd, look->in, most, look->at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return weir_error_set(err, -errno, "cannot read %s: %s", look->file->name,
					      weir_strerror(-errno));
		if (n && !look->at && codec_of_bytes(look->in, (size_t)n, &more) != look->codec) {
			snprintf(what, sizeof what, "contains no %s data, which its name promises",
				 codec_name(look->codec));
			return refuse(look, err, what);
		}
		if (n == 0 && !codec_reader_whole(look->reader)) {
			snprintf(what, sizeof what, "contains truncated %s data", codec_name(look->codec));
			return refuse(look, err, what);
		}
		if (n == 0 || (!all && look->text_bytes >= look->head_bytes && look->text_bytes))
			return 0;
		int code = unpack(look, (size_t)n, err);
		if (code)
			return code;
	}
}

int sink_compress_look(const struct sink_file *file, enum codec codec, const char *head, bool all,
		       struct sink_packed *ret_packed, struct weir_error *err)
{
	char path[32];
	struct compress_look *look = calloc(1, sizeof *look);
	if (!look)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	look->file = file;
	look->codec = codec;
	look->head = head;
	look->head_bytes = head ? strlen(head) : 0;
	look->last = '\n';
	snprintf(path, sizeof path, "/proc/self/fd/%d", file->fd);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int code = fd < 0 ? -errno : codec_reader_new(codec, &look->reader);
	code = code ? weir_error_set(err, code, "cannot read %s: %s", file->name, weir_strerror(code))
		    : unpack_file(look, fd, all, err);
	if (!code)
		*ret_packed = (struct sink_packed){
			.empty = !look->text_bytes,
			.has_head = !look->differs && look->text_bytes >= look->head_bytes,
			.mid_line = all && look->last != '\n',
		};
	if (fd >= 0)
		close(fd);
	codec_reader_free(look->reader);
	free(look);
	return code;
}

int sink_compress_text(enum codec codec, struct buf *text, struct buf *spare)
{
	buf_clear(spare);
	if (codec_pack(codec, text->data, text->len, spare))
		return WEIR_ENOMEM;
	struct buf packed = *spare;
	*spare = *text;
	*text = packed;
	return 0;
}
