/* SPDX-License-Identifier: MIT */
/* The step http against weir's own mock: what each kind of answer means for the item. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/group.h>

#include "data/secret.h"
#include "http/exchange.h"
#include "mock/server.h"
#include "support/test.h"
#include "sync/gate.h"

extern const struct adapter step_http_adapter;

struct bed {
	struct mock_config mock_config;
	struct mock_server *server;
	struct weir_group *group;
	struct step_http_config config;
	struct step_env env;
	struct step *step;
	weir_nsec longest;
};

static struct template *make_template(const char *text, unsigned flags)
{
	struct template *template;
	ck_assert_int_eq(template_compile(text, flags, &template, NULL), 0);
	return template;
}

/* A mock and an unopened step; `url` has a %u for the mock's port. */
static struct bed *make_bed(const char *url)
{
	struct bed *bed = calloc(1, sizeof *bed);
	mock_config_init(&bed->mock_config);
	bed->mock_config.listen.sin_port = 0;
	ck_assert_int_eq(mock_server_new(&bed->mock_config, &bed->server, NULL), 0);
	struct sockaddr_in address;
	mock_server_address(bed->server, &address);
	ck_assert_int_eq(weir_group_new(&(struct weir_group_options){.flags = WEIR_GROUP_COLLECT}, &bed->group), 0);
	ck_assert_int_eq(weir_group_spawn(bed->group, mock_server_run, bed->server, WEIR_FOREVER), 0);
	ck_assert_int_eq(http_global_init(), 0);
	char text[256];
	const char *mark = strstr(url, "%u");
	snprintf(text, sizeof text, "%.*s%u%s", mark ? (int)(mark - url) : 0, url, (unsigned)ntohs(address.sin_port),
		 mark ? mark + 2 : "");
	bed->config = (struct step_http_config){
		.url = make_template(mark ? text : url, TEMPLATE_URL), .timeout = WEIR_SEC, .max_body = 10 << 20};
	bed->env = (struct step_env){.concurrency = 10};
	bed->longest = 300 * WEIR_SEC;
	return bed;
}

static void free_bed(struct bed *bed)
{
	step_http_adapter.step->close(bed->step);
	weir_group_cancel(bed->group);
	weir_group_wait(bed->group, WEIR_FOREVER);
	weir_group_free(bed->group);
	mock_server_free(bed->server);
	mock_config_fini(&bed->mock_config);
	template_free(bed->config.url);
	template_free(bed->config.body);
	template_free(bed->config.json);
	for (size_t i = 0; i < bed->config.headers.n; i++)
		template_free(bed->config.headers.headers[i].value);
	free(bed);
}

struct outcome {
	enum step_verdict verdict;
	struct step_call call;
	struct value_list outputs;
	const char *text;     /* of the only output; "" if there is none */
	const char *evidence; /* its pairs; "" if there are none */
	weir_nsec shut;       /* for so long nobody may call its upstream */
};

struct call {
	struct bed *bed;
	struct outcome *outcome;
};

/* In an attempt that the library makes of it. */
static int run_step(void *arg_call, struct weir_attempt *attempt, void *arg)
{
	struct call *call = arg_call;
	struct outcome *outcome = call->outcome;
	(void)arg;
	outcome->call.permit = attempt;
	outcome->verdict = step_http_adapter.step->run(call->bed->step, &outcome->call);
	outcome->shut = weir__gate_shut_until(attempt->gate) ? weir__gate_shut_until(attempt->gate) - weir_now() : 0;
	attempt->permanent = true;
	return outcome->verdict == STEP_OK ? 0 : WEIR_EIO;
}

static void call_upstream(struct bed *bed, struct outcome *outcome)
{
	const struct weir_policy_options opts = {.concurrency = 10, .longest = bed->longest, .seed = 1};
	struct call call = {bed, outcome};
	struct weir_policy *policy;
	char room[STEP_UPSTREAM_BYTES];
	const char *key = step_http_adapter.step->upstream(bed->step, &outcome->call, room);
	ck_assert_int_eq(weir_policy_new(&opts, &policy, NULL), 0);
	weir_call_to(policy, key ? key : "", run_step, &call, WEIR_FOREVER);
	weir_policy_free(policy);
}

static struct outcome run_attempt(struct bed *bed, const char *item, unsigned attempt, bool last)
{
	struct value input = {.data = (char *)(uintptr_t)item, .len = strlen(item)};
	struct outcome outcome = {0};
	if (!bed->step)
		ck_assert_int_eq(step_http_adapter.step->open(&bed->config, &bed->env, &bed->step, NULL), 0);
	struct buf evidence = {0};
	outcome.call = (struct step_call){.input = &input,
					  .attempt = attempt,
					  .last_attempt = last,
					  .may_die = last,
					  .evidence = &evidence,
					  .outputs = &outcome.outputs};
	call_upstream(bed, &outcome);
	outcome.evidence = test_format("%s", evidence.data ? evidence.data : "");
	buf_fini(&evidence);
	ck_assert_uint_le(outcome.outputs.n, 1);
	outcome.text = outcome.outputs.n ? test_format("%s", outcome.outputs.values[0].data) : "";
	value_list_fini(&outcome.outputs);
	value_forget(&input);
	return outcome;
}

static struct outcome run(struct bed *bed, const char *item)
{
	return run_attempt(bed, item, 1, false);
}

/* One row of a table: an item that names a path of the mock, and what becomes of it. */
static void expect(struct bed *bed, const char *path, unsigned attempt, enum step_verdict verdict, const char *why)
{
	struct outcome got = run_attempt(bed, test_format("{\"p\":\"%s\"}", path), attempt, false);
	ck_assert_msg(got.verdict == verdict && !strncmp(got.call.why, why, strlen(why)), "%s, attempt %u: %d, '%s'",
		      path, attempt, got.verdict, got.call.why);
	ck_assert_uint_eq(got.outputs.n, 0);
}

LOOP_TEST(step_http_puts_the_answer_in_the_items_place)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/orders/${.id}");
	struct outcome got = run(bed, "{\"id\":42}");
	ck_assert_msg(got.verdict == STEP_OK, "%s", got.call.why);
	ck_assert_ptr_nonnull(strstr(got.text, "42"));
	ck_assert_ptr_null(strchr(got.text, '\n'));
	ck_assert_uint_eq(got.call.sent, 1);
	ck_assert_int_gt(got.call.took, 0);
	free_bed(bed);
}

LOOP_TEST(step_http_judges_statuses)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/status/${.s}");
	static const struct {
		int status;
		enum step_verdict verdict;
	} rows[] = {{301, STEP_DEAD},  {400, STEP_DEAD},  {401, STEP_DEAD},  {404, STEP_DEAD},  {408, STEP_RETRY},
		    {425, STEP_RETRY}, {500, STEP_RETRY}, {501, STEP_DEAD},  {502, STEP_RETRY}, {503, STEP_RETRY},
		    {504, STEP_RETRY}, {522, STEP_RETRY}, {524, STEP_RETRY}, {418, STEP_DEAD}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct outcome got = run(bed, test_format("{\"s\":%d}", rows[i].status));
		ck_assert_msg(got.verdict == rows[i].verdict, "%d: %d %s", rows[i].status, got.verdict, got.call.why);
		const char *why = test_format("status: %d", rows[i].status);
		ck_assert_msg(!strncmp(got.call.why, why, strlen(why)), "%s", got.call.why);
		ck_assert_uint_eq(got.call.sent, 1);
	}
	free_bed(bed);
}

LOOP_TEST(step_http_takes_only_the_statuses_in_ok_when_given)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/status/${.s}");
	int64_t values[] = {404};
	bed->config.ok = (struct key_counts){.values = values, .n = 1};
	bed->config.expect = STEP_HTTP_TEXT;
	ck_assert_int_eq(run(bed, "{\"s\":404}").verdict, STEP_OK);
	ck_assert_int_eq(run(bed, "{\"s\":200}").verdict, STEP_DEAD);
	free_bed(bed);
}

LOOP_TEST(step_http_refusals_close_the_gate_of_the_host)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/status/${.s}/retry-after/${.a}");
	struct outcome got = run(bed, "{\"s\":429,\"a\":\"60\"}");
	ck_assert_int_eq(got.verdict, STEP_REFUSED);
	ck_assert_uint_eq(got.call.sent, 1);
	ck_assert_int_ge(got.shut, 59 * WEIR_SEC);
	ck_assert_int_le(got.shut, 66 * WEIR_SEC);
	free_bed(bed);
}

/* What the first refusal asks for, in seconds rounded up. */
static int64_t pause_after(int status, const char *retry_after, weir_nsec longest)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/status/${.s}/retry-after/${.a}");
	bed->longest = longest;
	struct outcome got = run(bed, test_format("{\"s\":%d,\"a\":\"%s\"}", status, retry_after));
	ck_assert_int_eq(got.verdict, STEP_REFUSED);
	free_bed(bed);
	return got.shut;
}

LOOP_TEST(step_http_retry_after_that_makes_no_sense_leaves_the_wait_to_the_backoff)
{
	static const char *const texts[] = {"soon", "-5", "0", "date:-90"};
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		int64_t pause = pause_after(429, texts[i], 300 * WEIR_SEC);
		ck_assert_msg(pause < WEIR_SEC, "%s: %lld", texts[i], (long long)pause);
	}
}

LOOP_TEST(step_http_retry_after_is_clamped_and_holds_for_503_too)
{
	int64_t pause = pause_after(503, "99999999999999", 20 * WEIR_SEC);
	ck_assert_int_gt(pause, 19 * WEIR_SEC);
	ck_assert_int_le(pause, 22 * WEIR_SEC);
	pause = pause_after(503, "date:30", 300 * WEIR_SEC);
	ck_assert_int_gt(pause, 28 * WEIR_SEC);
	ck_assert_int_le(pause, 33 * WEIR_SEC);
}

LOOP_TEST(step_http_takes_a_403_for_a_limit_only_if_it_says_so)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/status/${.s}/retry-after/${.a}");
	ck_assert_int_eq(run(bed, "{\"s\":403,\"a\":\"soon\"}").verdict, STEP_DEAD);
	free_bed(bed);
	int64_t pause = pause_after(403, "7", 300 * WEIR_SEC);
	ck_assert_int_gt(pause, 6 * WEIR_SEC);
	ck_assert_int_le(pause, 8 * WEIR_SEC);
	/* and GitHub's: nothing is left of the quota */
	struct http_response response = {.status = 403, .hint = {.counts = true, .left = 1, .reset = WEIR_SEC}};
	ck_assert(!step_http_is_throttled(&response));
	response.hint.left = 0;
	ck_assert(step_http_is_throttled(&response));
	response.status = 404;
	ck_assert(!step_http_is_throttled(&response));
}

LOOP_TEST(step_http_judges_faults)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/fault/${.p}");
	bed->config.timeout = 20 * WEIR_SEC;
	expect(bed, "reset", 1, STEP_RETRY, "reset: ");
	expect(bed, "close", 1, STEP_RETRY, "reset: ");
	expect(bed, "half", 1, STEP_RETRY, "reset: ");
	expect(bed, "chunk-cut", 1, STEP_RETRY, "reset: ");
	expect(bed, "wrong-length", 9, STEP_RETRY, "reset: ");
	expect(bed, "html", 1, STEP_DEAD, "not json: <");
	expect(bed, "bad-json", 1, STEP_DEAD, "not json: ");
	expect(bed, "bad-utf8", 1, STEP_DEAD, "not json: ");
	expect(bed, "big-header", 1, STEP_DEAD, "too large: headers over 64 KiB");
	expect(bed, "close-cut", 1, STEP_RETRY, "not json: ");
	expect(bed, "close-cut", 2, STEP_DEAD, "not json: ");
	expect(bed, "garbage", 1, STEP_RETRY, "protocol: ");
	expect(bed, "garbage", 2, STEP_DEAD, "protocol: ");
	free_bed(bed);
}

LOOP_TEST(step_http_takes_a_good_answer_without_a_body_as_null)
{
	static const char *const urls[] = {"http://127.0.0.1:%u/fault/empty", "http://127.0.0.1:%u/empty"};
	for (size_t i = 0; i < 2; i++) {
		struct bed *bed = make_bed(urls[i]);
		struct outcome got = run(bed, "1");
		ck_assert_msg(got.verdict == STEP_OK, "%s: %s", urls[i], got.call.why);
		ck_assert_str_eq(got.text, "null");
		free_bed(bed);
	}
}

LOOP_TEST(step_http_gives_a_silent_server_its_time_and_no_more)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/fault/${.p}");
	bed->config.timeout = 300 * WEIR_MSEC;
	expect(bed, "stall", 1, STEP_RETRY, "timeout: no complete answer in 300 ms (timeout.total)");
	expect(bed, "stall-body", 1, STEP_RETRY, "timeout: no complete answer in 300 ms (timeout.total)");
	free_bed(bed);
	bed = make_bed("http://127.0.0.1:%u/fault/${.p}");
	bed->config.timeout_first_byte = 300 * WEIR_MSEC;
	expect(bed, "stall", 1, STEP_RETRY, "timeout: no first byte in 300 ms (timeout.first_byte)");
	expect(bed, "stall-body", 1, STEP_RETRY, "timeout: no byte for 300 ms (timeout.first_byte)");
	free_bed(bed);
}

LOOP_TEST(step_http_puts_values_into_json_bodies_as_json)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/echo");
	bed->config.method = STEP_HTTP_POST;
	bed->config.body = make_template("{\"q\":\"${.q}\",\"n\":${.n}}", 0);
	struct outcome got = run(bed, "{\"q\":\"x\\\", \\\"admin\\\": true, \\\"y\\\": \\\"z\",\"n\":\"a\\nb\"}");
	ck_assert_msg(got.verdict == STEP_OK, "%s", got.call.why);
	struct json *json, *body;
	size_t n;
	ck_assert_int_eq(json_parse(got.text, strlen(got.text), &json, NULL), 0);
	const char *text = json_text(json_member(json, "body"), &n);
	ck_assert_msg(json_parse(text, n, &body, NULL) == 0, "%s", text);
	ck_assert_str_eq(json_text(json_member(body, "q"), &n), "x\", \"admin\": true, \"y\": \"z");
	ck_assert_str_eq(json_text(json_member(body, "n"), &n), "a\nb");
	ck_assert_ptr_null(json_member(body, "admin"));
	json_free(body);
	json_free(json);
	free_bed(bed);
}

/* The body with ${.t} between quotes, as it was sent with that header; the item has `"` there. */
static void expect_body(const char *type, const char *body)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/echo");
	struct key_header header = {"content-TYPE", make_template(type, TEMPLATE_HEADER)};
	bed->config.headers = (struct key_headers){.headers = &header, .n = 1};
	bed->config.method = STEP_HTTP_POST;
	bed->config.body = make_template("\"${.t}\"", 0);
	struct outcome got = run(bed, "{\"t\":\"\\\"\",\"type\":\"application/json\"}");
	struct json *json;
	size_t n;
	ck_assert_int_eq(json_parse(got.text, strlen(got.text), &json, NULL), 0);
	ck_assert_str_eq(json_text(json_member(json, "body"), &n), body);
	json_free(json);
	free_bed(bed);
}

LOOP_TEST(step_http_asks_the_header_whether_a_body_is_json)
{
	expect_body("application/json", "\"\\\"\"");
	expect_body("application/vnd.api+json; charset=utf-8", "\"\\\"\"");
	expect_body("application/x-ndjson", "\"\\\"\"");
	expect_body("${.type}", "\"\\\"\"");
	expect_body("text/plain", "\"\"\"");
	expect_body("text/plain; format=json", "\"\"\"");
	expect_body("text/${.t}", "\"\"\"");
}

LOOP_TEST(step_http_bounds_the_body)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/fault/${.p}");
	bed->config.timeout = 20 * WEIR_SEC;
	expect(bed, "huge", 1, STEP_DEAD, "too large: body over 10 MiB");
	free_bed(bed);
}

/* What is said of an answer with that body and that Content-Encoding. */
static enum step_verdict judge_encoded(int expect, const char *encoding, const char *body, char why[256])
{
	const struct step_http_config config = {.expect = expect};
	const struct http_step step = {.config = &config};
	struct value_list outputs = {0};
	struct step_call call = {.attempt = 1, .outputs = &outputs};
	struct exchange x = {
		.response = {.status = 200, .body = strdup(body), .body_bytes = strlen(body), .length_known = true}};
	snprintf(x.response.encoding, sizeof x.response.encoding, "%s", encoding);
	enum step_verdict verdict = step_http_judge(&step, &call, &x);
	memcpy(why, call.why, sizeof call.why);
	value_list_fini(&outputs);
	http_response_fini(&x.response);
	return verdict;
}

TEST(step_http_names_the_encoding_of_a_body_that_it_cannot_read)
{
	char why[256];
	ck_assert_int_eq(judge_encoded(STEP_HTTP_JSON, "gzip", "\x1f\x8b\x08", why), STEP_DEAD);
	ck_assert_str_eq(why, "not json: the server sent Content-Encoding: gzip, which weir does not decode");
	ck_assert_int_eq(judge_encoded(STEP_HTTP_TEXT, "br", "\x1f\x8b\x08", why), STEP_DEAD);
	ck_assert_str_eq(why, "not text: the server sent Content-Encoding: br, which weir does not decode");
	ck_assert_int_eq(judge_encoded(STEP_HTTP_JSON, "gzip", "{}", why), STEP_OK); /* it only said so */
	ck_assert_int_eq(judge_encoded(STEP_HTTP_BYTES, "gzip", "\x1f\x8b\x08", why), STEP_OK);
	ck_assert_int_eq(judge_encoded(STEP_HTTP_JSON, "", "\x1f\x8b\x08", why), STEP_DEAD);
	ck_assert_str_eq(why, "not json: \\x1f\\x8b\\x08");
}

LOOP_TEST(step_http_accepts_a_byte_order_mark)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/fault/bom");
	struct outcome got = run(bed, "1");
	ck_assert_msg(got.verdict == STEP_OK, "%s", got.call.why);
	ck_assert_int_eq(got.text[0], '{');
	free_bed(bed);
}

LOOP_TEST(step_http_text_becomes_a_json_string_and_bytes_base64)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/fault/${.p}");
	bed->config.expect = STEP_HTTP_TEXT;
	struct outcome got = run(bed, "{\"p\":\"html\"}");
	ck_assert_int_eq(got.verdict, STEP_OK);
	ck_assert_int_eq(got.text[0], '"');
	ck_assert_int_eq(run(bed, "{\"p\":\"bad-utf8\"}").verdict, STEP_DEAD);
	got = run(bed, "{\"p\":\"empty\"}");
	ck_assert_str_eq(got.text, "\"\"");
	bed->config.expect = STEP_HTTP_BYTES;
	got = run(bed, "{\"p\":\"bad-utf8\"}");
	ck_assert_int_eq(got.verdict, STEP_OK);
	ck_assert_msg(!strncmp(got.text, "{\"base64\":\"", 11), "%s", got.text);
	free_bed(bed);
}

TEST(step_http_base64_as_the_rfc_has_it)
{
	static const char *const rows[][2] = {{"", ""},
					      {"f", "Zg=="},
					      {"fo", "Zm8="},
					      {"foo", "Zm9v"},
					      {"foob", "Zm9vYg=="},
					      {"fooba", "Zm9vYmE="},
					      {"foobar", "Zm9vYmFy"}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct buf out = {0};
		buf_add_base64(&out, rows[i][0], strlen(rows[i][0]));
		ck_assert_str_eq(out.data, rows[i][1]);
		buf_fini(&out);
	}
}

LOOP_TEST(step_http_sends_credentials_headers_and_body)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/echo");
	struct key_header headers[] = {{"X-Id", make_template("n${.id}", TEMPLATE_HEADER)},
				       {"X-Fixed", make_template("yes", TEMPLATE_HEADER)}};
	bed->config.headers = (struct key_headers){.headers = headers, .n = 2};
	bed->config.method = STEP_HTTP_POST;
	bed->config.body = make_template("{\"order\":${.id}}", 0);
	bed->config.basic = (char[]){"Aladdin:open sesame"};
	struct outcome got = run(bed, "{\"id\":7}");
	ck_assert_msg(got.verdict == STEP_OK, "%s", got.call.why);
	static const char *const parts[] = {
		"POST", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==", "n7", "yes", "application/json", "order"};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		ck_assert_msg(strstr(got.text, parts[i]) != NULL, "no %s in %s", parts[i], got.text);
	free_bed(bed);
}

LOOP_TEST(step_http_dead_letters_of_what_cannot_be_sent)
{
	struct bed *bed = make_bed("${.url}");
	static const struct {
		const char *item, *why;
	} rows[] = {
		{"{\"url\":\"ftp://x/\"}", "url: does not start with"},
		{"{\"url\":\"http://\"}", "url: no host"},
		{"{\"url\":\"\"}", "url: "},
		{"{\"url\":\"http://a/ b\"}", "url: contains white space"},
		{"{\"url\":\"http://a/\\u0000b\"}", "url: contains white space or control characters"},
		{"{\"url\":\"http://u:p@a/\"}", "url: contains a user"},
		{"{}", "template: "},
		{"{\"url\":\"http://127.0.0.1:1/\"}", "not allowed: "},
		{"{\"url\":\"http://localhost:1/\"}", "not allowed: "},
		{"{\"url\":\"http://169.254.169.254/latest/meta-data/\"}", "not allowed: "},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct outcome got = run(bed, rows[i].item);
		ck_assert_msg(got.verdict == STEP_DEAD && !strncmp(got.call.why, rows[i].why, strlen(rows[i].why)),
			      "%s: %d '%s'", rows[i].item, got.verdict, got.call.why);
		ck_assert_uint_eq(got.call.sent, 0);
	}
	free_bed(bed);
}

/* ---- what goes with a dead letter */

static void expect_evidence(const struct outcome *got, const char *part)
{
	ck_assert_msg(strstr(got->evidence, part) != NULL, "no %s in %s", part, got->evidence);
}

LOOP_TEST(step_http_explains_a_dead_letter)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/status/${.s}?key=c4n4ry-7731");
	ck_assert_int_eq(secret_add("c4n4ry-7731", 11), 0);
	bed->config.method = STEP_HTTP_POST;
	bed->config.body = make_template("{\"s\":${.s},\"token\":\"c4n4ry-7731\"}", 0);
	struct outcome got = run(bed, "{\"s\":404}");
	ck_assert_int_eq(got.verdict, STEP_DEAD);
	expect_evidence(&got, "\"method\":\"POST\",\"url\":\"http://127.0.0.1:");
	expect_evidence(&got, "/status/404?key=***\",\"status\":404,\"headers\":{");
	expect_evidence(&got, "\"content-type\":\"");
	expect_evidence(&got, ",\"answer\":\"");
	expect_evidence(&got, ",\"sent\":\"{\\\"s\\\":404,\\\"token\\\":\\\"***\\\"}\"");
	secret_clear();
	free_bed(bed);
}

LOOP_TEST(step_http_explains_nothing_that_may_be_tried_again)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/status/${.s}");
	ck_assert_str_eq(run(bed, "{\"s\":503}").evidence, "");
	struct outcome got = run_attempt(bed, "{\"s\":503}", 5, true);
	ck_assert_int_eq(got.verdict, STEP_RETRY);
	expect_evidence(&got, "\"status\":503");
	bed->config.expect = STEP_HTTP_TEXT;
	ck_assert_str_eq(run(bed, "{\"s\":200}").evidence, "");
	free_bed(bed);
}

LOOP_TEST(step_http_explains_what_could_not_be_sent)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/${.id}");
	struct outcome got = run(bed, "{\"no_id\":7}");
	ck_assert_int_eq(got.verdict, STEP_DEAD);
	ck_assert_str_eq(got.evidence, "\"method\":\"GET\",\"input\":\"{\\\"no_id\\\":7}\"");
	free_bed(bed);
}

LOOP_TEST(step_http_a_host_from_the_item_is_checked_and_one_from_the_config_is_not)
{
	static const struct {
		const char *url;
		bool literal;
	} rows[] = {
		{"http://127.0.0.1:%u/orders/${.id}", true},
		{"http://127.0.0.1:%u?x=${.id}", true},
		{"http://${.h}:%u/", false},
		{"http://127.0.0.${.one}:%u/", false},
		{"http://127.0.0.1:${.port}/", false},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bed *bed = make_bed(rows[i].url);
		struct outcome got = run(bed, "{\"id\":1,\"h\":\"127.0.0.1\",\"one\":1,\"port\":9}");
		bool refused = !strncmp(got.call.why, "not allowed: ", 13);
		ck_assert_msg(refused == !rows[i].literal, "%s: %s", rows[i].url, got.call.why);
		free_bed(bed);
	}
}

LOOP_TEST(step_http_connection_refused_is_tried_again)
{
	struct bed *bed = make_bed("http://127.0.0.1:1/${.id}");
	struct outcome got = run(bed, "{\"id\":1}");
	ck_assert_int_eq(got.verdict, STEP_RETRY);
	ck_assert_str_eq(got.call.why, "connect: refused");
	free_bed(bed);
}

/* ---- the record of weir get ---- */

static struct bed *make_get_bed(const char *url)
{
	struct bed *bed = make_bed(url);
	bed->config.record = bed->env.allow_private = true;
	bed->env.url_list = true;
	bed->config.expect = STEP_HTTP_TEXT;
	return bed;
}

static void expect_record(const struct outcome *got, enum step_verdict verdict, int status, bool ok, const char *error)
{
	struct json *json;
	ck_assert_int_eq(got->verdict, verdict);
	ck_assert_msg(json_parse(got->text, strlen(got->text), &json, NULL) == 0, "%s", got->text);
	static const char *const names[] = {"url", "status", "ok", "latency_ms", "bytes", "attempts", "error", "body"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		ck_assert_msg(json_member(json, names[i]) != NULL, "no %s in %s", names[i], got->text);
	if (status)
		ck_assert_int_eq(json_int(json_member(json, "status")), status);
	else
		ck_assert_int_eq(json_type(json_member(json, "status")), JSON_NULL);
	ck_assert_int_eq(json_bool(json_member(json, "ok")), ok);
	const struct json *text = json_member(json, "error");
	ck_assert_int_eq(json_type(text), error ? JSON_TEXT : JSON_NULL);
	if (error)
		ck_assert_msg(!strncmp(json_text(text, NULL), error, strlen(error)), "%s", got->text);
	json_free(json);
}

LOOP_TEST(step_http_record_of_a_page)
{
	struct bed *bed = make_get_bed("http://127.0.0.1:%u/html/${.}");
	struct outcome got = run(bed, "\"1\"");
	expect_record(&got, STEP_OK, 200, true, NULL);
	ck_assert_ptr_nonnull(strstr(got.text, "\"attempts\":1,"));
	ck_assert_ptr_nonnull(strstr(got.text, "\"body\":\"<"));
	free_bed(bed);
}

static void expect_body_in_record(const char *url, int expect_as, const char *part)
{
	struct bed *bed = make_get_bed(url);
	bed->config.expect = expect_as;
	struct outcome got = run(bed, "1");
	expect_record(&got, STEP_OK, got.text[0] && strstr(got.text, ":204,") ? 204 : 200, true, NULL);
	ck_assert_msg(strstr(got.text, part) != NULL, "no %s in %s", part, got.text);
	free_bed(bed);
}

LOOP_TEST(step_http_record_has_the_body_as_it_is_expected)
{
	expect_body_in_record("http://127.0.0.1:%u/orders/7", STEP_HTTP_JSON, "\"body\":{\"id\":7,");
	expect_body_in_record("http://127.0.0.1:%u/orders/7", STEP_HTTP_TEXT, "\"body\":\"{\\\"id\\\":7,");
	expect_body_in_record("http://127.0.0.1:%u/orders/7", STEP_HTTP_BYTES,
			      "\"body\":null,\"body_base64\":\"eyJpZCI6N");
	expect_body_in_record("http://127.0.0.1:%u/empty", STEP_HTTP_JSON, "\"body\":null}");
}

LOOP_TEST(step_http_record_is_written_for_the_last_attempt_and_no_other)
{
	struct bed *bed = make_get_bed("http://127.0.0.1:%u/status/${.}");
	struct outcome got = run_attempt(bed, "503", 1, false);
	ck_assert_int_eq(got.verdict, STEP_RETRY);
	ck_assert_str_eq(got.text, "");
	got = run_attempt(bed, "503", 5, true);
	expect_record(&got, STEP_RETRY, 503, false, "status: 503");
	ck_assert_ptr_nonnull(strstr(got.text, "\"attempts\":5,"));
	got = run(bed, "404");
	expect_record(&got, STEP_DEAD, 404, false, "status: 404");
	free_bed(bed);
}

LOOP_TEST(step_http_record_of_a_request_without_an_answer)
{
	struct bed *bed = make_get_bed("${.}");
	struct outcome got = run_attempt(bed, "\"http://127.0.0.1:1/\"", 5, true);
	expect_record(&got, STEP_RETRY, 0, false, "connect: refused");
	ck_assert_ptr_nonnull(strstr(got.text, "\"body\":null"));
	got = run(bed, "\"gopher://x\"");
	expect_record(&got, STEP_DEAD, 0, false, "url: ");
	ck_assert_ptr_nonnull(strstr(got.text, "\"url\":\"gopher://x\""));
	free_bed(bed);
}

LOOP_TEST(step_http_record_of_bytes_that_are_no_text)
{
	struct bed *bed = make_get_bed("http://127.0.0.1:%u/fault/bad-utf8");
	struct outcome got = run(bed, "1");
	expect_record(&got, STEP_OK, 200, true, NULL);
	ck_assert_ptr_nonnull(strstr(got.text, "\"body\":null,\"body_base64\":\""));
	free_bed(bed);
}

LOOP_TEST(http_step_reads_a_token_again_that_is_refused)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/status/${.}");
	bed->config.bearer = (char[]){"first"};
	bed->config.bearer_file = (char *)(uintptr_t)test_write_file("token", "first\n");
	ck_assert_int_eq(run(bed, "200").verdict, STEP_OK);

	/* The same token is no new one, and neither is what is not a token. */
	struct outcome outcome = run(bed, "401");
	ck_assert_int_eq(outcome.verdict, STEP_DEAD);
	ck_assert_str_eq(outcome.call.why, "status: 401");
	test_write_file("token", "");
	ck_assert_int_eq(run(bed, "401").verdict, STEP_DEAD);

	test_write_file("token", "second\n");
	outcome = run(bed, "401");
	ck_assert_int_eq(outcome.verdict, STEP_REFUSED);
	ck_assert_str_eq(outcome.call.why, "status: 401; the token was renewed");
	ck_assert_int_eq(run(bed, "401").verdict, STEP_DEAD);
	test_write_file("token", "third\n");
	ck_assert_int_eq(run(bed, "403").verdict, STEP_DEAD);
	free_bed(bed);
	secret_clear();
}
