/* SPDX-License-Identifier: MIT */
/* Signatures are those that AWS publishes for its examples: the Signature Version 4 test suite, and those of S3. */
#include "http/origin.h"
#include "http/sigv4.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>

#define DAY_2015 1440938160 /* 2015-08-30T12:36:00Z */
#define DAY_2013 1369353600 /* 2013-05-24T00:00:00Z */

static const struct http_sigv4_keys service = {.access_key = "AKIDEXAMPLE",
					       .secret_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
					       .region = "us-east-1",
					       .service = "service"};

static const struct http_sigv4_keys s3 = {.access_key = "AKIAIOSFODNN7EXAMPLE",
					  .secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY",
					  .region = "us-east-1",
					  .service = "s3"};

struct vector {
	const char *request; /* "GET /path", headers, and a body after an empty line */
	const char *signature;
};

/* The lines of a request, each ended by a NUL. */
static size_t split(char *text, const char **lines, char **ret_body)
{
	char *body = strstr(text, "\n\n");
	size_t n = 0;
	*ret_body = body ? body + 2 : NULL;
	if (body)
		*body = 0;
	for (char *save, *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		lines[n++] = line;
	return n;
}

/* All lines that signing adds, a "\n" after each. */
static const char *sign(const struct http_sigv4_keys *keys, const char *host, const char *text, int64_t now)
{
	char *copy = strdup(text), *body, *lines[HTTP_SIGV4_LINES], *added = strdup("");
	const char *parts[16];
	size_t n = split(copy, parts, &body), count = 0;
	char *path = strchr(copy, ' ');
	*path++ = 0;
	const char *url = test_format("https://%s%s", host, path);
	struct http_origin origin = {.tls = true, .port = 443};
	const struct http_request request = {.method = copy,
					     .url = url,
					     .origin = &origin,
					     .headers = parts + 1,
					     .header_count = n - 1,
					     .body = body,
					     .body_bytes = body ? strlen(body) : 0};
	ck_assert_int_eq(http_sigv4_sign(keys, &request, now, lines, &count), 0);
	for (size_t i = 0; i < count; i++) {
		char *more = strdup(test_format("%s%s\n", added, lines[i]));
		free(added);
		free(lines[i]);
		added = more;
	}
	const char *kept = test_format("%s", added);
	free(added);
	free(copy);
	return kept;
}

static void expect(const struct http_sigv4_keys *keys, const char *host, const struct vector *vector, int64_t now)
{
	const char *lines = sign(keys, host, vector->request, now), *at = strstr(lines, "Signature=");
	ck_assert_msg(at && !strncmp(at + 10, vector->signature, 64), "%s\n%s", vector->request, lines);
}

TEST(sigv4_signs_as_the_test_suite_of_aws)
{
#define PLAIN "-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	static const struct vector vectors[] = {
		{"GET /", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"GET /?Param2=value2&Param1=value1",
		 "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500"},
		{"GET /?Param1=value2&Param1=value1",
		 "5772eed61e12b33fae39ee5e7012498b51d56abc0abb7c60486157bd471c4694"},
		{"GET /?\xe1\x88\xb4=bar", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
		{"GET /?%e1%88%b4=bar", "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04"},
		{"GET /?" PLAIN "=" PLAIN, "9c3e54bfcdf0b19771a7f523ee5669cdf59bc7cc0884027167c21bb143a40197"},
		{"GET /" PLAIN, "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f"},
		{"GET /\xe1\x88\xb4", "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85"},
		{"GET /\nMy-Header1:value2\nMy-Header1:value2\nMy-Header1:value1",
		 "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea"},
		{"GET /\nMy-Header1:value4\nMy-Header1:value1\nMy-Header1:value3\nMy-Header1:value2",
		 "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01"},
		{"GET /\nMy-Header1: value1\nMy-Header2: \"a   b   c\"  ",
		 "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736"},
		{"POST /\nMy-Header1:value1", "c5410059b04c1ee005303aed430f6e6645f61f4dc9e1461ec8f8916fdf18852c"},
		{"POST /?Param1=value1", "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11"},
		{"POST /\nContent-Type:application/x-www-form-urlencoded; charset=utf8\n\nParam1=value1",
		 "1a72ec8f64bd914b0e42e42607c7fbce7fb2c7465f63e3092b3b0d39fa77a6fe"},
	};
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
		expect(&service, "example.amazonaws.com", &vectors[i], DAY_2015);
}

TEST(sigv4_takes_paths_as_the_server_does)
{
	static const struct vector vectors[] = {
		{"GET ", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"GET /example1/example2/../..", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"GET /./", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
		{"GET /./example", "ef75d96142cf21edca26f06005da7988e4f8dc83a165a80865db7089db637ec5"},
		{"GET //example//", "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84"},
		{"GET /#part", "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31"},
	};
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
		expect(&service, "example.amazonaws.com", &vectors[i], DAY_2015);

	/* What is sent encoded is encoded once more: this is not the path with a space. */
	const char *twice = sign(&service, "example.amazonaws.com", "GET /example%20space/", DAY_2015);
	ck_assert_ptr_null(strstr(twice, "652487583200325589f1fba4c7e578f72c47cb61beeca81406b39ddec1366741"));
}

TEST(sigv4_signs_for_s3)
{
	static const char host[] = "examplebucket.s3.amazonaws.com";
	static const struct vector vectors[] = {
		{"GET /test.txt\nRange: bytes=0-9", "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"},
		{"PUT /test$file.text\nDate: Fri, 24 May 2013 00:00:00 GMT\nx-amz-storage-class: REDUCED_REDUNDANCY\n\n"
		 "Welcome to Amazon S3.",
		 "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
		{"PUT /test%24file.text\nDate: Fri, 24 May 2013 00:00:00 GMT\nx-amz-storage-class: "
		 "REDUCED_REDUNDANCY\n\n"
		 "Welcome to Amazon S3.",
		 "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"},
		{"GET /?lifecycle", "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"},
		{"GET /?prefix=J&max-keys=2", "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"},
	};
	for (size_t i = 0; i < sizeof vectors / sizeof *vectors; i++)
		expect(&s3, host, &vectors[i], DAY_2013);
	ck_assert_ptr_nonnull(strstr(sign(&s3, host, "GET /", DAY_2013),
				     "X-Amz-Content-Sha256: "
				     "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855\n"));
	/* Keys keep their slashes and dots. */
	ck_assert_str_ne(sign(&s3, host, "GET /a//b", DAY_2013), sign(&s3, host, "GET /a/b", DAY_2013));
	ck_assert_str_ne(sign(&s3, host, "GET /a/../b/", DAY_2013), sign(&s3, host, "GET /b/", DAY_2013));
	ck_assert_str_ne(sign(&s3, host, "GET /b/", DAY_2013), sign(&s3, host, "GET /b", DAY_2013));
}

TEST(sigv4_sends_and_signs_a_session_token)
{
	struct http_sigv4_keys keys = service;
	keys.session_token = "AQoDYXdzEPT//////////"
			     "wEXAMPLEtc764bNrC9SAPBSM22wDOk4x4HIZ8j4FZTwdQWLWsKWHGBuFqwAeMicRXmxfpSPfIeoIYRqTflfK"
			     "D8YUuwthAx7mSEI/qkPpKPi/"
			     "kMcGdQrmGdeehM4IC1NtBmUpp2wUE8phUZampKsburEDy0KPkyQDYwT7WZ0wq5VSXDvp75YU9HFvlRd8T"
			     "x6q6fE8YQcHNVXAkiY9q6d+xo0rKwT38xVqr7ZD0u0iPPkUL64lIZbqBAz+"
			     "scqKmlzm8FDrypNC9Yjc8fPOLn9FX9KSYvKTr4rvx3iSIl"
			     "TJabIQwj2ICCR/oLxBA==";
	const char *lines = sign(&keys, "example.amazonaws.com", "POST /", DAY_2015);
	const char *expected =
		test_format("X-Amz-Date: 20150830T123600Z\nX-Amz-Security-Token: %s\nAuthorization: AWS4-HMAC-SHA256 "
			    "Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
			    "SignedHeaders=host;x-amz-date;x-amz-security-token, "
			    "Signature=85d96828115b5dc0cfc3bd16ad9e210dd772bbebba041836c64533a82be05ead\n",
			    keys.session_token);
	ck_assert_str_eq(lines, expected);
}

TEST(sigv4_signs_the_host_that_is_sent)
{
	/* The port that is usual is not sent; a header Host replaces it all; libcurl's "Name;" is an empty value. */
	const char *plain = sign(&service, "example.amazonaws.com", "GET /", DAY_2015);
	ck_assert_str_eq(sign(&service, "example.amazonaws.com:443", "GET /", DAY_2015), plain);
	ck_assert_str_eq(sign(&service, "10.0.0.1", "GET /\nHost: example.amazonaws.com", DAY_2015), plain);
	ck_assert_str_ne(sign(&service, "10.0.0.1", "GET /", DAY_2015), plain);
	ck_assert_str_eq(sign(&service, "example.amazonaws.com", "GET /\nUser-Agent: me", DAY_2015), plain);
	ck_assert_str_eq(sign(&service, "example.amazonaws.com", "GET /\nX-Empty;", DAY_2015),
			 sign(&service, "example.amazonaws.com", "GET /\nX-Empty: ", DAY_2015));
}
