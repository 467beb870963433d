/* SPDX-License-Identifier: MIT */
/* Text in other encodings, in pieces that end anywhere, against a naive decoder of the whole. */
#include <string.h>
#include <weir/random.h>

#include "codec/charset.h"
#include "support/test.h"

static void add_character(struct buf *text, uint32_t c)
{
	if (c < 0x80)
		buf_add_char(text, (char)c);
	else if (c < 0x800)
		buf_addf(text, "%c%c", (int)(0xC0 | c >> 6), (int)(0x80 | (c & 63)));
	else if (c < 0x10000)
		buf_addf(text, "%c%c%c", (int)(0xE0 | c >> 12), (int)(0x80 | (c >> 6 & 63)), (int)(0x80 | (c & 63)));
	else
		buf_addf(text, "%c%c%c%c", (int)(0xF0 | c >> 18), (int)(0x80 | (c >> 12 & 63)),
			 (int)(0x80 | (c >> 6 & 63)), (int)(0x80 | (c & 63)));
}

/* 0x80 to 0x9F; 0: none. */
static const uint16_t windows_1252[32] = {0x20AC, 0,      0x201A, 0x0192, 0x201E, 0x2026, 0x2020, 0x2021,
					  0x02C6, 0x2030, 0x0160, 0x2039, 0x0152, 0,      0x017D, 0,
					  0,      0x2018, 0x2019, 0x201C, 0x201D, 0x2022, 0x2013, 0x2014,
					  0x02DC, 0x2122, 0x0161, 0x203A, 0x0153, 0,      0x017E, 0x0178};

static void decode_bytes(struct buf *text, enum charset charset, const unsigned char *bytes, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		bool special = charset == CHARSET_WINDOWS_1252 && bytes[i] >= 0x80 && bytes[i] < 0xA0;
		uint32_t c = special ? windows_1252[bytes[i] - 0x80] : bytes[i];
		if (special && !c)
			buf_addf(text, "%c<%02x>", CHARSET_BAD, bytes[i]);
		else
			add_character(text, c);
	}
}

static uint32_t unit_at(const unsigned char *bytes, size_t n, size_t i, bool big)
{
	if (i + 2 > n)
		return 0;
	return big ? (uint32_t)(bytes[i] << 8 | bytes[i + 1]) : (uint32_t)(bytes[i + 1] << 8 | bytes[i]);
}

static void decode_units(struct buf *text, const unsigned char *bytes, size_t n)
{
	bool big = n >= 2 && bytes[0] == 0xFE && bytes[1] == 0xFF;
	for (size_t i = 0; i < n; i += 2) {
		uint32_t c = unit_at(bytes, n, i, big), low = unit_at(bytes, n, i + 2, big);
		if (i + 2 > n) {
			buf_addf(text, "%c<%02x>", CHARSET_BAD, bytes[i]);
		} else if (c >= 0xD800 && c < 0xDC00 && low >= 0xDC00 && low < 0xE000) {
			add_character(text, 0x10000 + ((c - 0xD800) << 10) + (low - 0xDC00));
			i += 2;
		} else if (c >= 0xD800 && c < 0xE000) {
			buf_addf(text, "%c<%02x%02x>", CHARSET_BAD, bytes[i], bytes[i + 1]);
		} else {
			add_character(text, c);
		}
	}
}

static size_t random_bytes(uint64_t *random, enum charset charset, unsigned char *bytes, size_t most)
{
	size_t n = weir_random_below(random, most);
	bool big = weir_random_below(random, 2);
	for (size_t i = 0; i < n; i++)
		bytes[i] = (unsigned char)weir_random_below(random, 256);
	if (charset != CHARSET_UTF_16)
		return n;
	for (size_t i = big; i < n; i += 2) /* the larger half of each unit: mostly small, some surrogates */
		bytes[i] = weir_random_below(random, 3) ? (unsigned char)weir_random_below(random, 4)
							: (unsigned char)(0xD6 + weir_random_below(random, 12));
	if (big && n >= 2)
		memcpy(bytes, "\xFE\xFF", 2);
	return n;
}

static void read_in_pieces(uint64_t *random, enum charset charset, const unsigned char *bytes, size_t n,
			   const struct buf *expected)
{
	struct charset_reader *reader;
	struct buf text = {0};
	char piece[200];
	size_t at = 0, seen = 0;
	ck_assert_int_eq(charset_reader_new(charset, &reader), 0);
	for (bool last = false, more = true; !last || more;) {
		seen += weir_random_below(random, 9);
		seen = seen < n ? seen : n;
		last = seen == n;
		size_t room = CHARSET_BAD_BYTES + weir_random_below(random, sizeof piece - CHARSET_BAD_BYTES);
		struct codec_io io = {(const char *)bytes + at, seen - at, piece, room};
		struct weir_error err = {0};
		ck_assert_msg(charset_read(reader, &io, last, &err) == 0, "%s", err.text);
		at = seen - io.in_bytes;
		more = io.in_bytes;
		buf_add(&text, piece, room - io.room);
	}
	charset_reader_free(reader);
	ck_assert_uint_eq(text.len, expected->len);
	ck_assert(!text.len || memcmp(text.data, expected->data, text.len) == 0);
	buf_fini(&text);
}

TEST(charset_decodes_as_a_naive_decoder_does)
{
	uint64_t random = 7;
	unsigned char bytes[300];
	for (int round = 0; round < 3000; round++) {
		enum charset charset = (enum charset)(CHARSET_LATIN1 + round % 3);
		struct buf expected = {0};
		size_t n = random_bytes(&random, charset, bytes, sizeof bytes);
		if (charset == CHARSET_UTF_16)
			decode_units(&expected, bytes, n);
		else
			decode_bytes(&expected, charset, bytes, n);
		read_in_pieces(&random, charset, bytes, n, &expected);
		buf_fini(&expected);
	}
}

static void expect_bad(enum charset charset, const char *line, size_t byte, const char *hex)
{
	size_t at = 0;
	char found[5];
	ck_assert(charset_find_bad(charset, line, strlen(line), &at, found));
	ck_assert_uint_eq(at, byte);
	ck_assert_str_eq(found, hex);
}

TEST(charset_counts_bytes_as_they_were_encoded)
{
	size_t at;
	char hex[5];
	expect_bad(CHARSET_WINDOWS_1252, "a\xC3\xA4\xE2\x82\xAC\xFF<81>", 4, "81");
	expect_bad(CHARSET_UTF_16, "a\xC3\xA4\xF0\x9F\x98\x80\xFF<00d8>x\xFF<00>", 9, "00d8");
	ck_assert(!charset_find_bad(CHARSET_LATIN1, "\xC3\xBF", 2, &at, hex));
	ck_assert(!charset_find_bad(CHARSET_UTF_8, "\xFF", 1, &at, hex));
}

TEST(charset_knows_utf_16_by_its_beginning)
{
	static const struct {
		const char *bytes;
		size_t n;
		bool is, more;
	} cases[] = {
		{"", 0, false, true},         {"\xFF", 1, false, true},
		{"\xFF\xFE", 2, true, false}, {"\xFE\xFF\0a", 4, true, false},
		{"a", 1, false, true},        {"a\0", 2, false, true},
		{"a\0b", 3, false, true},     {"a\0b\0", 4, true, false},
		{"ab", 2, false, false},      {"\0a\0b", 4, false, false},
		{"a\0\0\0", 4, false, false}, {"\xEF\xBB\xBF{", 4, false, false},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		bool more = false;
		ck_assert_msg(charset_is_utf_16(cases[i].bytes, cases[i].n, &more) == cases[i].is, "%zu", i);
		ck_assert_msg(more == cases[i].more, "%zu", i);
	}
}
