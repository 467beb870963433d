/* SPDX-License-Identifier: MIT */
#include "codec/charset.h"

#include <iconv.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE ((iconv_t)-1)

struct charset_reader {
	enum charset charset;
	iconv_t iconv; /* NONE: not yet opened */
};

const char *charset_name(enum charset charset)
{
	static const char *const names[] = {"utf-8", "latin1", "windows-1252", "utf-16"};
	return names[charset];
}

int charset_reader_new(enum charset charset, struct charset_reader **ret_reader)
{
	struct charset_reader *reader = malloc(sizeof *reader);
	if (!reader)
		return WEIR_ENOMEM;
	*reader = (struct charset_reader){.charset = charset, .iconv = NONE};
	*ret_reader = reader;
	return 0;
}

void charset_reader_free(struct charset_reader *reader)
{
	if (reader && reader->iconv != NONE)
		iconv_close(reader->iconv);
	free(reader);
}

static int open_iconv(struct charset_reader *reader, const struct codec_io *io, struct weir_error *err)
{
	static const char *const names[] = {"UTF-8", "ISO-8859-1", "CP1252", "UTF-16LE"};
	bool big = reader->charset == CHARSET_UTF_16 && io->in_bytes >= 2 && memcmp(io->in, "\xFE\xFF", 2) == 0;
	reader->iconv = iconv_open("UTF-8", big ? "UTF-16BE" : names[reader->charset]);
	if (reader->iconv != NONE)
		return 0;
	if (errno == ENOMEM)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	return weir_error_set(err, WEIR_EINVAL, "this system cannot decode %s: iconv does not support it",
			      charset_name(reader->charset));
}

/* Sets a mark in the place of one byte, or of two of UTF-16. */
static void mark_bad(const struct charset_reader *reader, struct codec_io *io)
{
	size_t n = reader->charset == CHARSET_UTF_16 && io->in_bytes >= 2 ? 2 : 1;
	*io->out++ = (char)CHARSET_BAD;
	*io->out++ = '<';
	for (size_t i = 0; i < n; i++, io->out += 2) {
		static const char digits[] = "0123456789abcdef";
		unsigned char byte = (unsigned char)io->in[i];
		io->out[0] = digits[byte >> 4];
		io->out[1] = digits[byte & 15];
	}
	*io->out++ = '>';
	io->in += n;
	io->in_bytes -= n;
	io->room -= 3 + 2 * n;
}

int charset_read(struct charset_reader *reader, struct codec_io *io, bool last, struct weir_error *err)
{
	if (!io->in_bytes || (io->in_bytes < 2 && reader->charset == CHARSET_UTF_16 && !last))
		return 0;
	int code = reader->iconv == NONE ? open_iconv(reader, io, err) : 0;
	while (!code && io->in_bytes && io->room >= CHARSET_BAD_BYTES) {
		char *in = (char *)(uintptr_t)io->in;
		size_t rc = iconv(reader->iconv, &in, &io->in_bytes, &io->out, &io->room);
		int why = rc == (size_t)-1 ? errno : 0;
		io->in = in;
		if (why == E2BIG || (why == EINVAL && !last))
			break;
		if (why && io->room >= CHARSET_BAD_BYTES)
			mark_bad(reader, io);
	}
	return code;
}

bool charset_find_bad(enum charset charset, const char *line, size_t n, size_t *ret_byte, char ret_hex[5])
{
	const char *bad = charset == CHARSET_UTF_8 ? NULL : memchr(line, CHARSET_BAD, n);
	size_t before = 0;
	if (!bad)
		return false;
	for (const char *at = line; at < bad; at++) {
		unsigned char byte = (unsigned char)*at;
		before += (byte & 0xC0) != 0x80;                              /* a character, */
		before += charset == CHARSET_UTF_16 && (byte & 0xF8) == 0xF0; /* or a pair of surrogates */
	}
	*ret_byte = (charset == CHARSET_UTF_16 ? 2 * before : before) + 1;
	snprintf(ret_hex, 5, "%.*s", (int)strcspn(bad + 2, ">"), bad + 2);
	return true;
}

bool charset_is_utf_16(const char *bytes, size_t n, bool *ret_more)
{
	bool maybe_mark = n < 1 || bytes[0] == '\xFF' || bytes[0] == '\xFE';
	bool maybe_ascii = n < 2 || !bytes[1];
	if (n >= 2 && (memcmp(bytes, "\xFF\xFE", 2) == 0 || memcmp(bytes, "\xFE\xFF", 2) == 0))
		return true;
	if (n >= 4 && bytes[0] && !bytes[1] && bytes[2] && !bytes[3])
		return true;
	*ret_more = (n < 2 && maybe_mark) || (n < 4 && maybe_ascii);
	return false;
}
