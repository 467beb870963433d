/* SPDX-License-Identifier: MIT */
/* What is sent to an OTLP receiver, and what is done when that does not take it. */
#include "otlp/encode.h"
#include "otlp/sender.h"
#include "otlp/settings.h"
#include "support/test.h"

#include "data/secret.h"

#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

static const struct otlp_names names = {
	.resource = "{\"attributes\":[]}", .run = "the run", .pipeline = "orders", .broker = "redis", .table = "rows"};

#define HEAD                                                                                                           \
	"{\"resourceSpans\":[{\"resource\":{\"attributes\":[]},\"scopeSpans\":[{\"scope\":{\"name\":\"weir\","         \
	"\"version\":\"" WEIR_VERSION "\"},\"spans\":["
#define TAIL             "]}]}]}"
#define IDS(span)        "\"traceId\":\"0000000000000001000000000000abcd\",\"spanId\":\"" span "\""
#define PARENT           ",\"parentSpanId\":\"00000000000000aa\""
#define TIMES            "\"startTimeUnixNano\":\"1000000000000000010\",\"endTimeUnixNano\":\"1000000000000000020\""
#define TEXT(key, value) "{\"key\":\"" key "\",\"value\":{\"stringValue\":\"" value "\"}}"
#define INT(key, value)  "{\"key\":\"" key "\",\"value\":{\"intValue\":\"" value "\"}}"
#define MESSAGE(operation)                                                                                             \
	TEXT("messaging.system", "redis")                                                                              \
	"," TEXT("messaging.destination.name", "orders") "," TEXT("messaging.operation.name", operation) "," TEXT(     \
		"messaging.operation.type", operation) "," TEXT("messaging.message.conversation_id",                   \
								"the run") "," TEXT("messaging.message.id", "7")

/* The places of two texts: 1 and 101. */
static struct trace trace_of(struct trace_span *spans, size_t n, const char *first, const char *second)
{
	static char texts[400];
	memset(texts, 0, sizeof texts);
	strcpy(texts + 1, first);
	strcpy(texts + 101, second);
	for (size_t i = 0; i < n; i++) {
		spans[i].parent = 0xaa;
		spans[i].begun = 10;
		spans[i].ended = 20;
	}
	return (struct trace){.id = {1, 0xabcd},
			      .root = 0xaa,
			      .item = 7,
			      .position = 9,
			      .attempts = 2,
			      .born = 10,
			      .spans = spans,
			      .n = n,
			      .texts = {.data = texts, .len = sizeof texts}};
}

static void expect_spans(const struct trace *trace, size_t n, const char *expected)
{
	struct buf out = {0};
	ck_assert_uint_eq(otlp_encode_traces(trace, &names, 1000000000 * WEIR_SEC, &out), n);
	ck_assert_str_eq(out.data, test_format(HEAD "%s" TAIL, expected));
	buf_fini(&out);
}

TEST(otlp_says_what_a_request_was_without_secrets)
{
	struct trace_span spans[] = {
		{.kind = TRACE_REQUEST, .id = 0xb, .name = "GET", .url = 1, .status = 404},
		{.kind = TRACE_REQUEST, .id = 0xc, .name = "POST", .url = 1, .error = 101},
	};
	struct trace trace =
		trace_of(spans, 2, "https://api.example:8443/a/s3cr3t?key=1&b&c=2#d", "timeout: no first byte in 10 s");
	ck_assert_int_eq(secret_add("s3cr3t", 6), 0);
#define WHERE                                                                                                          \
	TEXT("server.address", "api.example")                                                                          \
	"," INT("server.port", "8443") "," TEXT("url.full", "https://api.example:8443/a/"                              \
							    "***?key=REDACTED&b&c=REDACTED")
	expect_spans(&trace, 2,
		     "{" IDS("000000000000000b") PARENT
		     ",\"name\":\"GET\",\"kind\":3," TIMES
		     ",\"attributes\":[" TEXT("http.request.method", "GET") "," WHERE "," INT(
			     "http.response.status_code", "404") "," TEXT("error.type",
									  "404") "],"
										 "\"status\":{\"code\":2}},"
										 "{" IDS("000000000000000c") PARENT
		     ",\"name\":\"POST\",\"kind\":3," TIMES ",\"attributes\":[" TEXT(
			     "http.request.method", "POST") "," WHERE "," TEXT("error.type", "timeout") "],\"status\":{"
													"\"code\":2,"
													"\"message\":"
													"\"timeout: no "
													"first byte in "
													"10 s\"}}");
	secret_clear();
}

TEST(otlp_says_what_became_of_an_item)
{
	struct trace_span spans[] = {
		{.kind = TRACE_ATTEMPT, .id = 0xb, .number = 2, .link = 0xa},
		{.kind = TRACE_WRITE, .id = 0xc, .name = "postgres", .number = 50},
	};
	struct trace trace = trace_of(spans, 2, "status: 422: no \"name\"", "");
	trace.settled = 20;
	trace.fate = FATE_DEAD;
	trace.error = 1;
	expect_spans(
		&trace, 3,
		"{" IDS("000000000000000b") PARENT ",\"name\":\"attempt\",\"kind\":1," TIMES ",\"attributes\":[" INT(
			"weir.attempt", "2") "],\"links\":[{" IDS("000000000000000a") "}]},"
										      "{" IDS("000000000000000c") PARENT
		",\"name\":\"write postgres\",\"kind\":3," TIMES
		",\"attributes\":[" TEXT("weir.sink", "postgres") "," TEXT("db.system.name", "postgresql") "," TEXT(
			"db.collection.name",
			"rows") "," INT("db.operation.batch.size",
					"50") "]},"
					      "{" IDS("00000000000000aa") ",\"name\":\"process "
									  "orders\",\"kind\":5," TIMES
									  ",\"attributes\":[" MESSAGE("process") "," INT(
										  "weir.item.position",
										  "9") "," INT("weir.item.attempts",
											       "2") "," TEXT("weir."
													     "item."
													     "outcome",
													     "dead") "," TEXT("error.type",
															      "status") "],\"status\":{\"code\":2,\"message\":\"status: 422: no \\\"name\\\"\"}}");
}

TEST(otlp_says_how_an_item_came_to_the_broker)
{
	struct trace_span spans[] = {{.kind = TRACE_SEND, .id = 0xb}};
	struct trace trace = trace_of(spans, 1, "", "");
	expect_spans(&trace, 1,
		     "{" IDS("000000000000000b") PARENT ",\"name\":\"send orders\",\"kind\":4," TIMES
							",\"attributes\":[" MESSAGE("send") "]}");
}

/* A text of so many bytes, of characters of two. */
static const char *long_text(size_t n)
{
	static char text[10240 + 1];
	for (size_t i = 0; i < n; i += 2)
		memcpy(text + i, "\xC3\xA9", 2);
	text[n] = 0;
	return text;
}

/* The longest string of a JSON text, in bytes. */
static size_t longest_string(const struct buf *json)
{
	size_t most = 0;
	for (const char *at = json->data; (at = strchr(at, '"'));) {
		size_t n = strcspn(++at, "\"");
		most = n > most ? n : most;
		at += n + 1;
	}
	return most;
}

TEST(otlp_cuts_texts_that_are_long)
{
	struct trace_span spans[] = {
		{.kind = TRACE_REQUEST, .id = 0xb, .name = "GET", .url = 1},
		{.kind = TRACE_STEP, .id = 0xc, .name = long_text(10240)},
		{.kind = TRACE_WRITE, .id = 0xd, .name = long_text(10240)},
		{.kind = TRACE_SEND, .id = 0xe},
	};
	struct trace trace = trace_of(spans, 4, "", "");
	const char *texts = test_format(" https://ab.example/%s", long_text(10240));
	struct buf out = {0};
	const struct otlp_names long_names = {.resource = "{\"attributes\":[]}",
					      .run = "the run",
					      .pipeline = long_text(10240),
					      .broker = long_text(10240),
					      .table = long_text(10240)};
	trace.texts.data = (char *)(uintptr_t)texts;
	ck_assert_uint_eq(otlp_encode_traces(&trace, &long_names, 0, &out), 4);
	ck_assert_uint_eq(longest_string(&out), OTLP_TEXT_BYTES);
	ck_assert_ptr_null(strstr(out.data, "\xEF\xBF\xBD")); /* no half character */
	buf_fini(&out);
}

TEST(otlp_shows_metrics_as_they_are)
{
	static const struct weir_metric_def defs[] = {{"a_total", "A.", WEIR_COUNTER, {"by"}, 0},
						      {"b_bytes", "B.", WEIR_GAUGE, {0}, 0},
						      {"c_seconds", "C.", WEIR_HISTOGRAM, {0}, 0},
						      {"d", "D.", WEIR_GAUGE, {0}, 0},
						      {"e_items", "E.", WEIR_HISTOGRAM, {0}, 0}};
	struct weir_metric *metric[5];
	struct weir_metrics *metrics;
	struct buf out = {0};
	ck_assert_int_eq(weir_metrics_new(&metrics), 0);
	ck_assert_int_eq(weir_metrics_add(metrics, defs, 5, metric), 0);
	weir_counter_add(weir_metric_counter(metric[0], (const char *[]){"x"}), UINT64_C(9007199254740993));
	weir_gauge_set(weir_metric_gauge(metric[1], NULL), 2.5);
	weir_histogram_record(weir_metric_histogram(metric[2], NULL), 6 * WEIR_MSEC);
	weir_histogram_record(weir_metric_histogram(metric[2], NULL), 20 * WEIR_SEC);
	weir_gauge_set(weir_metric_gauge(metric[3], NULL), 0.0 / (out.len ? 1.0 : 0.0));
	weir_histogram_record(weir_metric_histogram(metric[4], NULL), 3);
	ck_assert_uint_eq(otlp_encode_metrics(metrics, names.resource, 5, 6, &out), 5); /* and the overflow */
#define POINT(attributes) "{\"attributes\":[" attributes "],\"startTimeUnixNano\":\"5\",\"timeUnixNano\":\"6\","
	const char *const parts[] = {
		"{\"resourceMetrics\":[{\"resource\":{\"attributes\":[]},\"scopeMetrics\":[{\"scope\":{\"name\":"
		"\"weir\",",
		"{\"name\":\"a_total\",\"description\":\"A.\",\"unit\":\"1\",\"sum\":{\"aggregationTemporality\":2,"
		"\"isMonotonic\":true,\"dataPoints\":[" POINT(TEXT("by", "x")) "\"asInt\":\"9007199254740993\"}]}}",
		"\"unit\":\"By\",\"gauge\":{\"dataPoints\":[{\"attributes\":[],\"timeUnixNano\":\"6\","
		"\"asDouble\":2.500000000}]}}",
		"\"unit\":\"s\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[" POINT(
			"") "\"count\":\"2\",\"sum\":20.006000000,\"bucketCounts\":[\"0\",\"1\",\"0\",\"0\",\"0\","
			    "\"0\","
			    "\"0\",\"0\",\"0\",\"0\",\"0\",\"0\",\"0\",\"0\",\"1\"],\"explicitBounds\":[0.005,0.010,",
		"\"unit\":\"1\",\"histogram\":{\"aggregationTemporality\":2,\"dataPoints\":[" POINT(
			"") "\"count\":\"1\",\"sum\":3.000000000,\"bucketCounts\":[\"0\",\"0\",\"1\",\"0\",",
	};
	for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++)
		ck_assert_msg(strstr(out.data, parts[i]) != NULL, "no %s in %s", parts[i], out.data);
	ck_assert_ptr_null(strstr(out.data, "\"d\""));
	buf_fini(&out);
	weir_metrics_free(metrics);
}

/* ---- settings */

static struct otlp_settings settings_for(const struct otlp_wish *wish)
{
	struct otlp_settings settings;
	struct weir_error err = {0};
	ck_assert_msg(otlp_settings_init(&settings, wish, &err) == 0, "%s", err.text);
	return settings;
}

TEST(otlp_settings_of_the_file_go_before_the_environment)
{
	const char *const headers[] = {"X-Key: of the file"};
	struct otlp_wish wish = {.pipeline = "orders", .instance = "i"};
	struct otlp_settings settings = settings_for(&wish);
	ck_assert_ptr_null(settings.url);
	wish.endpoint = "http://127.0.0.1:4318/base/";
	wish.header_list = "x-key=a%20b, x-other = c%2Cd ,";
	wish.service = "";
	wish.attributes = "deployment.environment.name=test,service.version=7";
	settings = settings_for(&wish);
	ck_assert_str_eq(settings.url, "http://127.0.0.1:4318/base");
	ck_assert_uint_eq(settings.header_count, 2);
	ck_assert_str_eq(settings.headers[0], "x-key: a b");
	ck_assert_str_eq(settings.headers[1], "x-other: c,d");
	ck_assert_ptr_nonnull(strstr(settings.resource.data, TEXT("service.name", "orders")));
	ck_assert_ptr_nonnull(strstr(settings.resource.data, TEXT("deployment.environment.name", "test")));
	ck_assert_ptr_nonnull(strstr(settings.resource.data, TEXT("service.version", "7")));
	ck_assert_ptr_null(strstr(settings.resource.data, TEXT("service.version", WEIR_VERSION)));
	otlp_settings_fini(&settings);
	wish.url = "https://collector.example";
	wish.headers = headers;
	wish.header_count = 1;
	wish.service = "named";
	wish.attributes = "service.name=other";
	settings = settings_for(&wish);
	ck_assert_str_eq(settings.url, "https://collector.example");
	ck_assert_uint_eq(settings.header_count, 1);
	ck_assert_ptr_nonnull(strstr(settings.resource.data, TEXT("service.name", "named")));
	ck_assert_ptr_null(strstr(settings.resource.data, "other"));
	otlp_settings_fini(&settings);
	secret_clear();
}

TEST(otlp_settings_that_are_none_are_refused)
{
	const struct {
		struct otlp_wish wish;
		const char *text;
	} cases[] = {
		{{.url = "ftp://host"}, "observe.otlp.url: the URL "},
		{{.endpoint = "http://h/?a=b"}, "OTEL_EXPORTER_OTLP_ENDPOINT: the URL has a query"},
		{{.url = "http://h", .header_list = "abc"}, "OTEL_EXPORTER_OTLP_HEADERS: expected key=value"},
		{{.url = "http://h", .header_list = "a=%0d%0aX: y"}, "OTEL_EXPORTER_OTLP_HEADERS: a name or a value"},
		{{.url = "http://h", .attributes = "a"}, "OTEL_RESOURCE_ATTRIBUTES: expected key=value"},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct otlp_settings settings;
		struct weir_error err = {0};
		struct otlp_wish wish = cases[i].wish;
		wish.pipeline = wish.instance = "p";
		ck_assert_int_eq(otlp_settings_init(&settings, &wish, &err), WEIR_EINVAL);
		ck_assert_msg(!strncmp(err.text, cases[i].text, strlen(cases[i].text)), "%s", err.text);
	}
}

/* ---- sending, on the virtual clock */

static struct {
	struct otlp_answer answers[8];
	int codes[8];
	weir_nsec at[64];
	int n;
} receiver;

static int answer_next(void *arg, const struct buf *body, struct otlp_answer *ret_answer)
{
	(void)arg, (void)body;
	int i = receiver.n < 7 ? receiver.n : 7;
	receiver.at[receiver.n++] = weir_now();
	*ret_answer = receiver.answers[i];
	return receiver.codes[i];
}

static struct otlp_sender *new_sender(void)
{
	static struct otlp_sender sender;
	memset(&receiver, 0, sizeof receiver);
	memset(&sender, 0, sizeof sender);
	sender.post = answer_next;
	ck_assert_int_eq(weir_event_new(&sender.ending), 0);
	return &sender;
}

static void send_ten(struct otlp_sender *sender)
{
	otlp_send(sender, &(struct buf){0}, 10);
}

FIBER_TEST(otlp_waits_as_long_as_the_receiver_says)
{
	struct otlp_sender *sender = new_sender();
	weir_nsec begun = weir_now();
	receiver.answers[0] = (struct otlp_answer){.status = 429, .retry_after = 7 * WEIR_SEC};
	receiver.answers[1] = (struct otlp_answer){.status = 503};
	receiver.codes[2] = WEIR_EIO;
	receiver.answers[3] = (struct otlp_answer){.status = 200};
	send_ten(sender);
	ck_assert_int_eq(receiver.n, 4);
	ck_assert_int_eq(receiver.at[1] - begun, 7 * WEIR_SEC);
	ck_assert_int_ge(receiver.at[2] - receiver.at[1], WEIR_SEC);
	ck_assert_int_ge(receiver.at[3] - receiver.at[2], 2 * WEIR_SEC);
	ck_assert_uint_eq(sender->sent, 10);
	weir_event_free(sender->ending);
}

FIBER_TEST(otlp_gives_up_after_a_minute)
{
	struct otlp_sender *sender = new_sender();
	weir_nsec begun = weir_now();
	for (int i = 0; i < 8; i++)
		receiver.codes[i] = WEIR_EIO;
	send_ten(sender);
	ck_assert_int_gt(receiver.n, 3);
	ck_assert_int_le(weir_now() - begun, 60 * WEIR_SEC);
	ck_assert_uint_eq(sender->lost[OTLP_LOST_UNANSWERED], 10);
	receiver.n = 0;
	receiver.codes[0] = 0;
	receiver.answers[0] = (struct otlp_answer){.status = 503, .retry_after = 3600 * WEIR_SEC};
	send_ten(sender);
	ck_assert_int_eq(receiver.n, 1);
	ck_assert_uint_eq(sender->lost[OTLP_LOST_UNANSWERED], 20);
	weir_event_free(sender->ending);
}

FIBER_TEST(otlp_counts_what_the_receiver_does_not_take)
{
	static const struct {
		int status;
		const char *body;
		uint64_t sent, partial, refused;
	} cases[] = {
		{400, NULL, 0, 0, 10},
		{404, NULL, 0, 0, 10},
		{301, NULL, 0, 0, 10},
		{500, NULL, 0, 0, 10},
		{200, "{\"partialSuccess\":{\"rejectedSpans\":\"3\"}}", 7, 3, 0},
		{200, "{\"partialSuccess\":{\"rejectedDataPoints\":4}}", 6, 4, 0},
		{202, "{\"partialSuccess\":{\"rejectedSpans\":\"-3\"}}", 0, 10, 0},
		{200, "{\"partialSuccess\":[]}", 10, 0, 0},
		{200, "<html>", 10, 0, 0},
		{200, "{}", 10, 0, 0},
	};
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct otlp_sender *sender = new_sender();
		const char *body = cases[i].body;
		receiver.answers[0] = (struct otlp_answer){
			.status = cases[i].status, .body = body, .body_bytes = body ? strlen(body) : 0};
		send_ten(sender);
		ck_assert_int_eq(receiver.n, 1);
		ck_assert_uint_eq(sender->sent, cases[i].sent);
		ck_assert_uint_eq(sender->lost[OTLP_LOST_PARTIAL], cases[i].partial);
		ck_assert_uint_eq(sender->lost[OTLP_LOST_REFUSED], cases[i].refused);
		weir_event_free(sender->ending);
	}
}

static int end_later(void *arg)
{
	struct otlp_sender *sender = arg;
	weir_sleep(100 * WEIR_MSEC);
	weir_event_set(sender->ending);
	return 0;
}

FIBER_TEST(otlp_tries_once_more_at_the_end)
{
	struct otlp_sender *sender = new_sender();
	struct weir_group *group;
	weir_nsec begun = weir_now();
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	ck_assert_int_eq(weir_group_spawn(group, end_later, sender, WEIR_FOREVER), 0);
	for (int i = 0; i < 8; i++)
		receiver.answers[i] = (struct otlp_answer){.status = 503, .retry_after = 30 * WEIR_SEC};
	send_ten(sender);
	ck_assert_int_eq(receiver.n, 2);
	ck_assert_int_eq(weir_now() - begun, 100 * WEIR_MSEC);
	ck_assert_uint_eq(sender->lost[OTLP_LOST_END], 10);
	weir_group_wait(group, WEIR_FOREVER);
	weir_group_free(group);
	weir_event_free(sender->ending);
}
