/* SPDX-License-Identifier: MIT */
/* Bodies of answers that come encoded. */
#include <stdlib.h>
#include <string.h>

#include "codec/codec.h"
#include "data/buf.h"
#include "http/encoding.h"
#include "support/test.h"

#define MOST ((size_t)64 << 20)

static const char text[] = "{\"id\":7,\"text\":\"a weir, a weir, a weir\"}";

static const unsigned char brotli[] = {0x1b, 0x27, 0x00, 0x00, 0x04, 0xe4, 0x64, 0xa9, 0xda, 0xb3, 0x6e, 0xd3,
				       0x9a, 0x8d, 0xa0, 0x2a, 0x82, 0x49, 0x49, 0x78, 0x11, 0xaa, 0x9c, 0xb4,
				       0x47, 0x27, 0x6e, 0xca, 0xbf, 0x30, 0x38, 0x21, 0x5b, 0x3d, 0x2a, 0xf0};
static const unsigned char deflate[] = {0x78, 0x9c, 0xab, 0x56, 0xca, 0x4c, 0x51, 0xb2, 0x32, 0xd7, 0x51, 0x2a,
					0x49, 0xad, 0x28, 0x51, 0xb2, 0x52, 0x4a, 0x54, 0x28, 0x4f, 0xcd, 0x2c,
					0xd2, 0x51, 0x40, 0xa5, 0x95, 0x6a, 0x01, 0xf6, 0x7e, 0x0c, 0x6e};

enum { ZLIB_HEADER = 2, ZLIB_CHECKSUM = 4 };

static struct http_response answer(const char *encoding, const void *body, size_t n)
{
	struct http_response response = {.status = 200, .body = malloc(n + 1), .body_bytes = n};
	memcpy(response.body, body, n);
	response.body[n] = 0;
	strcpy(response.encoding, encoding);
	return response;
}

static struct http_response packed(const char *encoding, enum codec codec, const char *from, size_t n)
{
	struct buf out = {0};
	ck_assert_int_eq(codec_pack(codec, from, n, &out), 0);
	struct http_response response = answer(encoding, out.data, out.len);
	buf_fini(&out);
	return response;
}

static void expect_text(struct http_response response)
{
	size_t came = response.body_bytes;
	http_decode(&response, MOST);
	ck_assert_msg(response.failure == HTTP_ANSWERED, "%s: %s", response.encoding, response.detail);
	ck_assert_str_eq(response.body, text);
	ck_assert_uint_eq(response.body_bytes, strlen(text));
	ck_assert_uint_eq(response.encoded_bytes, came);
	http_response_fini(&response);
}

TEST(encoding_decodes_what_is_asked_for)
{
	expect_text(packed("gzip", CODEC_GZIP, text, strlen(text)));
	expect_text(packed("X-GZip", CODEC_GZIP, text, strlen(text)));
	expect_text(packed("zstd", CODEC_ZSTD, text, strlen(text)));
	expect_text(answer("br", brotli, sizeof brotli));
	expect_text(answer("deflate", deflate, sizeof deflate));
	expect_text(answer("deflate", deflate + ZLIB_HEADER, sizeof deflate - ZLIB_HEADER - ZLIB_CHECKSUM));
}

/* `outer` over gzip. */
static struct http_response packed_twice(const char *encoding, enum codec outer, const char *from, size_t n)
{
	struct buf inner = {0};
	ck_assert_int_eq(codec_pack(CODEC_GZIP, from, n, &inner), 0);
	struct http_response response = packed(encoding, outer, inner.data, inner.len);
	buf_fini(&inner);
	return response;
}

TEST(encoding_takes_off_several)
{
	expect_text(packed_twice("gzip, zstd", CODEC_ZSTD, text, strlen(text)));
	expect_text(packed_twice("GZIP,identity , x-gzip", CODEC_GZIP, text, strlen(text)));
}

TEST(encoding_joins_members_and_ignores_what_is_behind_them)
{
	struct buf out = {0};
	codec_pack(CODEC_GZIP, text, 10, &out);
	codec_pack(CODEC_GZIP, text + 10, strlen(text) - 10, &out);
	expect_text(answer("gzip", out.data, out.len));
	buf_add(&out, "\0\0\0", 3);
	expect_text(answer("gzip", out.data, out.len));
	buf_fini(&out);
}

TEST(encoding_leaves_alone_what_it_does_not_know)
{
	static const char *const encodings[] = {"",          "utf-8",       "gzip, lzma", "lzma, gzip",
						"identity,", "aws-chunked", "gzi",        "br, br, br, br, br"};
	for (size_t i = 0; i < sizeof encodings / sizeof *encodings; i++) {
		struct http_response response = answer(encodings[i], text, strlen(text));
		http_decode(&response, 10);
		ck_assert_int_eq(response.failure, HTTP_ANSWERED);
		ck_assert_str_eq(response.body, text);
		ck_assert_uint_eq(response.encoded_bytes, 0);
		http_response_fini(&response);
	}
}

static void expect_failure(struct http_response response, size_t most, enum http_failure failure, const char *detail)
{
	http_decode(&response, most);
	ck_assert_msg(response.failure == failure && !strncmp(response.detail, detail, strlen(detail)), "%d: %s",
		      response.failure, response.detail);
	ck_assert_ptr_null(response.body);
	ck_assert_uint_eq(response.body_bytes, 0);
	http_response_fini(&response);
}

/* A text that was cut and looks whole would be worse than none. */
TEST(encoding_finds_every_cut)
{
	for (size_t n = 1; n < sizeof brotli; n++)
		expect_failure(answer("br", brotli, n), MOST, HTTP_PROTOCOL,
			       "the body cannot be decoded (br): it ends");
	for (size_t n = 1; n < sizeof deflate; n++)
		expect_failure(answer("deflate", deflate, n), MOST, HTTP_PROTOCOL,
			       "the body cannot be decoded (deflate): it ends");
	static const char *const names[] = {[CODEC_GZIP] = "gzip", [CODEC_ZSTD] = "zstd"};
	for (enum codec codec = CODEC_GZIP; codec <= CODEC_ZSTD; codec++) {
		struct http_response whole = packed(names[codec], codec, text, strlen(text));
		for (size_t n = 1; n < whole.body_bytes; n++)
			expect_failure(answer(names[codec], whole.body, n), MOST, HTTP_PROTOCOL,
				       test_format("the body cannot be decoded (%s): it ends", names[codec]));
		http_response_fini(&whole);
	}
}

TEST(encoding_finds_damage)
{
	struct http_response inner = packed("gzip, zstd", CODEC_ZSTD, text, strlen(text));
	expect_failure(inner, MOST, HTTP_PROTOCOL, "the body cannot be decoded (gzip, zstd): incorrect header check");
	struct http_response response = packed("gzip", CODEC_GZIP, text, strlen(text));
	response.body[response.body_bytes - 6] ^= 1;
	expect_failure(response, MOST, HTTP_PROTOCOL, "the body cannot be decoded (gzip): incorrect data check");
	expect_failure(answer("gzip", text, strlen(text)), MOST, HTTP_PROTOCOL,
		       "the body cannot be decoded (gzip): incorrect header check");
	expect_failure(answer("br", text, strlen(text)), MOST, HTTP_PROTOCOL, "the body cannot be decoded (br)");
	expect_failure(answer("zstd", text, strlen(text)), MOST, HTTP_PROTOCOL, "the body cannot be decoded (zstd)");
}

TEST(encoding_ends_a_bomb)
{
	size_t n = (size_t)32 << 20;
	char *zeros = calloc(1, n);
	expect_failure(packed_twice("gzip, gzip", CODEC_GZIP, zeros, n), MOST, HTTP_TOO_LARGE, "ratio");
	expect_failure(packed_twice("gzip, zstd", CODEC_ZSTD, zeros, n), (size_t)1 << 20, HTTP_TOO_LARGE, "body");
	expect_failure(packed("gzip", CODEC_GZIP, zeros, n), (size_t)10 << 20, HTTP_TOO_LARGE, "body");
	expect_failure(packed("gzip", CODEC_GZIP, zeros, n), MOST, HTTP_TOO_LARGE, "ratio");
	expect_failure(packed("zstd", CODEC_ZSTD, zeros, n), MOST, HTTP_TOO_LARGE, "ratio");
	struct http_response small = packed("zstd", CODEC_ZSTD, zeros, HTTP_RATIO_FROM);
	http_decode(&small, MOST);
	ck_assert_int_eq(small.failure, HTTP_ANSWERED); /* what has so few bytes may be of any ratio */
	ck_assert_uint_eq(small.body_bytes, HTTP_RATIO_FROM);
	http_response_fini(&small);
	free(zeros);
}
