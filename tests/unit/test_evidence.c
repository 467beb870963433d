/* SPDX-License-Identifier: MIT */
/* What goes with a dead letter, and which letters died of the same thing. */
#include <stdlib.h>
#include <string.h>

#include "data/buf.h"
#include "data/json.h"
#include "data/secret.h"
#include "http/telling.h"
#include "port/cause.h"
#include "port/evidence.h"
#include "support/test.h"

static const char *error_of(const char *body)
{
	struct buf out = {0};
	buf_add_str(&out, "{\"first\":0");
	evidence_add_error(&out, body, strlen(body));
	buf_add_char(&out, '}');
	struct json *json;
	ck_assert_int_eq(json_parse(out.data, out.len, &json, NULL), 0);
	const struct json *error = json_member(json, "error");
	size_t n;
	const char *text = error ? test_format("%s", json_text(error, &n)) : NULL;
	json_free(json);
	buf_fini(&out);
	return text;
}

TEST(evidence_finds_what_an_answer_says_is_wrong)
{
	static const char *const rows[][2] = {
		{"{\"error\":{\"message\":\"no such customer\",\"code\":7}}", "no such customer"},
		{"{\"error\":\"invalid_grant\"}", "invalid_grant"},
		{"{\"message\":\"not found\",\"detail\":\"other\"}", "not found"},
		{"{\"errors\":[{\"message\":\"first\"},{\"message\":\"second\"}]}", "first"},
		{"{\"errors\":[\"as a text\"]}", "as a text"},
		{"{\"title\":\"Bad\",\"detail\":\"more of it\"}", "more of it"},
		{"{\"title\":\"Bad\"}", "Bad"},
		{"\"just a text\"", "just a text"},
		{"{\"ok\":true}", NULL},
		{"[1,2]", NULL},
		{"{\"error\":{\"message\":\"", NULL}, /* cut off */
		{"\r\n  upstream is down \r\nsecond line", "upstream is down"},
		{"<html>\r\n<head><title>502 Bad Gateway</title></head>", "502 Bad Gateway"},
		{"<TITLE class='x'>\n Sign in \n</TITLE>", "Sign in"},
		{"<html><body>no title</body>", NULL},
		{"<title></title>", NULL},
		{"\x1f\x8b\x08", NULL},
		{" \n", NULL},
		{"two\tparts", "two parts"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		const char *found = error_of(rows[i][0]);
		ck_assert_msg(!found == !rows[i][1] && (!found || !strcmp(found, rows[i][1])), "%s gives %s",
			      rows[i][0], found);
	}
}

TEST(evidence_is_cut_between_characters_and_says_so)
{
	char text[EVIDENCE_TEXT_BYTES + 100];
	struct buf out = {0};
	memset(text, 'x', sizeof text);
	memcpy(text + EVIDENCE_TEXT_BYTES - 1, "\xc3\xa4", 2);
	evidence_add_text(&out, "answer", text, sizeof text);
	ck_assert_str_eq(out.data + strlen("\"answer\":\"") + EVIDENCE_TEXT_BYTES - 1,
			 test_format("\",\"answer_bytes\":%zu", sizeof text));
	buf_clear(&out);
	evidence_add_text(&out, "answer", text, 3);
	ck_assert_str_eq(out.data, "\"answer\":\"xxx\"");
	buf_fini(&out);
}

TEST(evidence_hides_secrets_also_where_it_is_cut)
{
	char text[EVIDENCE_TEXT_BYTES + 10];
	struct buf out = {0};
	ck_assert_int_eq(secret_add("c4n4ry-7731", 11), 0);
	memset(text, 'x', sizeof text);
	memcpy(text + 10, "c4n4ry-7731", 11);
	memcpy(text + EVIDENCE_TEXT_BYTES - 6, "c4n4ry-7731", 11);
	evidence_add_text(&out, "answer", text, sizeof text);
	ck_assert_ptr_null(strstr(out.data, "c4n4ry"));
	buf_clear(&out);
	evidence_add_error(&out, "bad token c4n4ry-7731", 21);
	ck_assert_str_eq(out.data, "\"error\":\"bad token ***\"");
	buf_fini(&out);
	secret_clear();
}

/* ---- causes */

static const char *normal(const char *text, bool in_parentheses)
{
	struct buf out = {0};
	buf_add_str(&out, "");
	cause_normalize(text, strlen(text), in_parentheses, &out);
	const char *kept = test_format("%s", out.data);
	buf_fini(&out);
	return kept;
}

TEST(cause_takes_ids_and_numbers_out_of_a_text)
{
	ck_assert_str_eq(normal("order 1041 has no customer c-77.", false), "order # has no customer #.");
	ck_assert_str_eq(normal("user 550e8400-e29b-41d4-a716-446655440000 unknown", false), "user # unknown");
	ck_assert_str_eq(normal("a.b@example.com is taken", false), "# is taken");
	ck_assert_str_eq(normal("no digits at all", false), "no digits at all");
	ck_assert_str_eq(normal("10.0.0.1:8080 refused", false), "#:# refused");
	ck_assert_str_eq(normal("string (\"a (b\") and null (null) cannot be added", true), "string (#)");
	ck_assert_str_eq(normal("number (12) and null (null)", true), "number (#) and null (#)");
	ck_assert_str_eq(normal("number (12)", false), "number (#)");
	ck_assert_uint_eq(strlen(normal(test_format("%0500d %s", 0, test_format("%0500d", 0)), false)), 3);
	char plain[600];
	memset(plain, 'x', sizeof plain);
	plain[sizeof plain - 1] = 0;
	ck_assert_uint_eq(strlen(normal(plain, false)), CAUSE_TEXT_BYTES);
}

static uint32_t cause(const char *reason, const char *evidence)
{
	return cause_of(reason, evidence, evidence ? strlen(evidence) : 0);
}

TEST(cause_is_step_status_and_text)
{
	static const char first[] =
		"{\"step\":1,\"kind\":\"http\",\"status\":422,\"error\":\"no order 7\",\"answer\":\"x\"}";
	static const char same[] =
		"{\"step\":1,\"kind\":\"http\",\"status\":422,\"error\":\"no order 812\",\"answer\":\"y\"}";
	static const char *const others[] = {
		"{\"step\":2,\"kind\":\"http\",\"status\":422,\"error\":\"no order 7\"}",
		"{\"step\":1,\"kind\":\"http\",\"status\":404,\"error\":\"no order 7\"}",
		"{\"step\":1,\"kind\":\"http\",\"status\":422,\"error\":\"no customer 7\"}",
		"{\"step\":1,\"kind\":\"jq\",\"status\":422,\"error\":\"no order 7\"}",
		"{\"step\":1,\"kind\":\"http\",\"status\":422}",
	};
	ck_assert_uint_eq(cause("status: 422", first), cause("status: 422, again", same));
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		ck_assert_uint_ne(cause("status: 422", first), cause("status: 422", others[i]));
	/* Without an answer's error it is the reason; jq puts values into parentheses. */
	ck_assert_uint_eq(cause("connect: refused after 3 s", NULL), cause("connect: refused after 71 s", NULL));
	ck_assert_uint_ne(cause("connect: refused", NULL), cause("connect: reset", NULL));
	ck_assert_uint_eq(cause("jq: string (\"a\") has no keys", "{\"step\":2,\"kind\":\"jq\"}"),
			  cause("jq: string (\"b\") has no keys", "{\"step\":2,\"kind\":\"jq\"}"));
	ck_assert_uint_eq(cause("not json: expected a value, found 'N' (line 1, column 7: {\"a\":1 NaN)", NULL),
			  cause("not json: expected a value, found 'N' (line 1, column 9: {\"b\":100 NaN)", NULL));
	/* Ids are kept in states and shown to people: they stay as they are. */
	ck_assert_uint_eq(cause("status: 422", first), 0xdb166d38u);
	ck_assert_uint_eq(cause("jq: no tens: 30", NULL), 0x39857ffdu);
}

TEST(telling_headers_are_those_that_explain)
{
	static const char *const yes[] = {"Content-Type: a",         "retry-after: 1",       "LOCATION: /x",
					  "X-Request-Id: 1",         "x-amzn-RequestId: 1",  "CF-RAY: 1",
					  "RateLimit-Remaining: 1",  "x-ratelimit-limit: 1", "X-Rate-Limit-Reset: 1",
					  "X-GitHub-Request-Id: 1",  "x-b3-traceid: 1",      "X-Amzn-Trace-Id: 1",
					  "traceparent: 00",         "x-correlation-id: 1",  "request-id: 1",
					  "WWW-Authenticate: Bearer"};
	static const char *const no[] = {"Content-Length: 1",
					 "Set-Cookie: a",
					 "Connection: close",
					 "Date: x",
					 "Server: y",
					 "Cache-Control: no",
					 "Transfer-Encoding: chunked",
					 "X-Powered-By: z",
					 "",
					 "x",
					 "HTTP/1.1 200 OK",
					 "Location",
					 "\r\n",
					 "Referrer-Policy: x",
					 "X-Frame-Options: y"};
	for (size_t i = 0; i < sizeof yes / sizeof yes[0]; i++)
		ck_assert_msg(http_header_is_telling(yes[i], strlen(yes[i])), "%s", yes[i]);
	for (size_t i = 0; i < sizeof no / sizeof no[0]; i++)
		ck_assert_msg(!http_header_is_telling(no[i], strlen(no[i])), "%s", no[i]);
}
