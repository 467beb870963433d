/* SPDX-License-Identifier: MIT */
/*
 * What AWS says when it is the signature that is wrong, not the request.  The code stands in the body: in XML as
 * <Code>ExpiredToken</Code>, in JSON as "__type": "com.amazon…#ExpiredTokenException" or "code"; and in the header
 * x-amzn-errortype, which need not be read, since then it is in the body, too.
 */
#include "http/aws.h"

#include <stdio.h>
#include <string.h>

#include "data/json.h"

enum { CODE_BYTES = 64 };

static void copy_code(const char *from, size_t n, char code[CODE_BYTES])
{
	snprintf(code, CODE_BYTES, "%.*s", (int)(n < CODE_BYTES ? n : 0), from);
}

static void read_json(const struct http_response *response, char code[CODE_BYTES])
{
	static const char *const names[] = {"__type", "code", "Code"};
	struct json *json;
	if (json_parse(response->body, response->body_bytes, &json, NULL))
		return;
	for (size_t i = 0; i < 3 && !code[0] && json_type(json) == JSON_OBJECT; i++) {
		const char *text = json_member_text(json, names[i]), *mark = strchr(text, '#');
		text = mark ? mark + 1 : text;
		copy_code(text, strcspn(text, ":"), code);
	}
	json_free(json);
}

static void read_code(const struct http_response *response, char code[CODE_BYTES])
{
	const char *body = response->body ? response->body : "", *begin = strstr(body, "<Code>");
	code[0] = '\0';
	if (begin)
		copy_code(begin + strlen("<Code>"), strcspn(begin + strlen("<Code>"), "<"), code);
	else if (*body)
		read_json(response, code);
}

/* "Signature expired: 20260901T100000Z is now earlier than …", "Signature not yet current". */
static bool is_about_time(const struct http_response *response)
{
	return strstr(response->body, "Signature expired") || strstr(response->body, "Signature not yet current");
}

enum http_aws_trouble http_aws_trouble_of(const struct http_response *response)
{
	static const char *const keys[] = {
		"ExpiredToken", "ExpiredTokenException",       "TokenRefreshRequired", "InvalidClientTokenId",
		"InvalidToken", "UnrecognizedClientException", "InvalidAccessKeyId",   "InvalidTokenException"};
	static const char *const clock[] = {"RequestTimeTooSkewed", "RequestExpired", "RequestInTheFuture"};
	char code[CODE_BYTES];
	if (response->status != 400 && response->status != 401 && response->status != 403)
		return HTTP_AWS_FINE;
	read_code(response, code);
	for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
		if (!strcmp(code, keys[i]))
			return HTTP_AWS_KEYS;
	for (size_t i = 0; i < sizeof clock / sizeof *clock; i++)
		if (!strcmp(code, clock[i]))
			return HTTP_AWS_CLOCK;
	bool is_signature = !strcmp(code, "InvalidSignatureException") || !strcmp(code, "SignatureDoesNotMatch");
	return is_signature && is_about_time(response) ? HTTP_AWS_CLOCK : HTTP_AWS_FINE;
}
