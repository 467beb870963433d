/* SPDX-License-Identifier: MIT */
/* AWS keys from a profile and a program, and what AWS says of keys and clocks. */
#include "data/secret.h"
#include "http/aws.h"
#include "support/test.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

TEST(aws_profile_is_found_as_the_tools_of_aws_write_it)
{
	static const char text[] =
		"# comment\n[default]\naws_access_key_id=AKID1\naws_secret_access_key = secret/1+=\r\n"
		"\n[ profile other ] ; x\n  aws_access_key_id\t=  AKID2  \naws_secret_access_key=secret-2\n"
		"region = eu-central-1\n; aws_session_token = none\naws_session_token = token==\n"
		"[broken]\naws_access_key_id = AKID3\n[last]\naws_access_key_id = AKID4\n"
		"aws_secret_access_key = secret-4";
	static const char *const rows[][2] = {{"default", "AKID1 secret/1+="},
					      {"other", "AKID2 secret-2 token=="},
					      {"last", "AKID4 secret-4"},
					      {"broken", NULL},
					      {"none", NULL}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct http_token_news news = {0};
		char *copy = strdup(text);
		http_aws_read_profile(copy, rows[i][0], &news);
		ck_assert_pstr_eq(news.text, rows[i][1]);
		if (!news.text)
			ck_assert_str_eq(
				news.why,
				test_format("the file of AWS credentials has no keys of the profile %s", rows[i][0]));
		ck_assert_int_eq(news.refused, !news.text);
		free(news.text);
		free(copy);
	}
	secret_clear();
}

TEST(aws_keys_of_a_program_have_an_end)
{
	char expiration[40];
	time_t then = time(NULL) + 3600;
	strftime(expiration, sizeof expiration, "%Y-%m-%dT%H:%M:%SZ", gmtime(&then));
	const char *text = test_format("{\"Version\": 1, \"AccessKeyId\": \"A\", \"SecretAccessKey\": \"secret\","
				       "\"SessionToken\": \"token\", \"Expiration\": \"%s\"}\n",
				       expiration);
	struct http_token_news news = {0};
	http_aws_read_process(text, strlen(text), &news);
	ck_assert_str_eq(news.text, "A secret token");
	ck_assert_int_ge(news.life, 3500 * WEIR_SEC);
	ck_assert_int_le(news.life, 3600 * WEIR_SEC);
	struct http_sigv4_keys keys = {0};
	http_aws_split(news.text, &keys);
	ck_assert_str_eq(keys.access_key, "A");
	ck_assert_str_eq(keys.secret_key, "secret");
	ck_assert_str_eq(keys.session_token, "token");
	free(news.text);

	static const char *const odd[] = {"",
					  "{}",
					  "[]",
					  "not logged in",
					  "{\"AccessKeyId\": \"A\"}",
					  "{\"AccessKeyId\": \"A b\", \"SecretAccessKey\": \"c\"}"};
	for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
		news = (struct http_token_news){0};
		http_aws_read_process(odd[i], strlen(odd[i]), &news);
		ck_assert(!news.text && news.refused && strstr(news.why, "AccessKeyId and SecretAccessKey"));
	}
	text = "{\"AccessKeyId\": \"A\", \"SecretAccessKey\": \"secret\"}";
	news = (struct http_token_news){0};
	http_aws_read_process(text, strlen(text), &news);
	ck_assert_str_eq(news.text, "A secret");
	ck_assert_int_eq(news.life, 0);
	free(news.text);
	secret_clear();
}

TEST(aws_answers_say_whether_the_keys_or_the_clock_are_wrong)
{
	static const struct {
		int status;
		const char *body;
		enum http_aws_trouble trouble;
	} rows[] = {
		{403, "<?xml?><Error><Code>ExpiredToken</Code><Message>x</Message></Error>", HTTP_AWS_KEYS},
		{400, "<Error><Code>ExpiredToken</Code></Error>", HTTP_AWS_KEYS},
		{403,
		 "<ErrorResponse><Error><Type>Sender</Type><Code>InvalidClientTokenId</Code></Error></ErrorResponse>",
		 HTTP_AWS_KEYS},
		{403, "<Error><Code>RequestTimeTooSkewed</Code></Error>", HTTP_AWS_CLOCK},
		{400, "{\"__type\":\"com.amazon.coral.service#ExpiredTokenException\",\"message\":\"x\"}",
		 HTTP_AWS_KEYS},
		{400, "{\"__type\":\"UnrecognizedClientException\"}", HTTP_AWS_KEYS},
		{403, "{\"code\":\"ExpiredTokenException:http://x\"}", HTTP_AWS_KEYS},
		{403, "{\"__type\":\"InvalidSignatureException\",\"message\":\"Signature expired: 1 is now earlier\"}",
		 HTTP_AWS_CLOCK},
		{403, "<Error><Code>SignatureDoesNotMatch</Code><Message>Signature not yet current</Message></Error>",
		 HTTP_AWS_CLOCK},
		{403, "<Error><Code>SignatureDoesNotMatch</Code></Error>", HTTP_AWS_FINE},
		{403, "<Error><Code>AccessDenied</Code></Error>", HTTP_AWS_FINE},
		{200, "<Error><Code>ExpiredToken</Code></Error>", HTTP_AWS_FINE},
		{403, "<Code>", HTTP_AWS_FINE},
		{403, "[]", HTTP_AWS_FINE},
		{403, "ExpiredToken", HTTP_AWS_FINE},
		{403, NULL, HTTP_AWS_FINE},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct http_response response = {.status = rows[i].status,
						       .body = (char *)(uintptr_t)rows[i].body,
						       .body_bytes = rows[i].body ? strlen(rows[i].body) : 0};
		ck_assert_msg(http_aws_trouble_of(&response) == rows[i].trouble, "%s", rows[i].body);
	}
}
