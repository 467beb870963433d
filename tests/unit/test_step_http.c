/* SPDX-License-Identifier: MIT */
/* The step http against weir's own mock: what each kind of answer means for the item. */
#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir/group.h>

#include "codec/codec.h"
#include "data/secret.h"
#include "http/exchange.h"
#include "mock/server.h"
#include "support/test.h"
#include "sync/gate.h"
#include "unit/jq_path.h"

extern const struct adapter step_http_adapter;

struct bed {
	struct mock_config mock_config;
	struct mock_server *server;
	struct weir_group *group;
	struct step_http_config config;
	struct step_env env;
	struct step *step;
	struct item item; /* of all calls: what is known of it */
	size_t value;
	weir_nsec longest;
	bool explain; /* step_call.explain */
	char *note;
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
	address_set_port(&bed->mock_config.listen, 0);
	ck_assert_int_eq(mock_server_new(&bed->mock_config, &bed->server, NULL), 0);
	ck_assert_int_eq(weir_group_new(&(struct weir_group_options){.flags = WEIR_GROUP_COLLECT}, &bed->group), 0);
	ck_assert_int_eq(weir_group_spawn(bed->group, mock_server_run, bed->server, WEIR_FOREVER), 0);
	ck_assert_int_eq(http_global_init(), 0);
	char text[256];
	const char *mark = strstr(url, "%u");
	snprintf(text, sizeof text, "%.*s%u%s", mark ? (int)(mark - url) : 0, url,
		 (unsigned)address_port(mock_server_address(bed->server)), mark ? mark + 2 : "");
	bed->config = (struct step_http_config){
		.url = make_template(mark ? text : url, TEMPLATE_URL), .timeout = WEIR_SEC, .max_body = 10 << 20};
	bed->env = (struct step_env){.concurrency = 10, .exe_path = exe_path()};
	bed->item =
		(struct item){.id = 300, .position = 7, .source = {.data = (char *)(uintptr_t) "\"line\"", .len = 6}};
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
	template_free(bed->config.poll_url);
	template_free(bed->config.body);
	template_free(bed->config.json.template);
	for (size_t i = 0; i < bed->config.headers.n; i++)
		template_free(bed->config.headers.headers[i].value);
	free(bed->note);
	free(bed);
}

struct outcome {
	enum step_verdict verdict;
	struct step_call call;
	struct value_list outputs;
	const char *text;     /* of the only output; "" if there is none */
	const char *evidence; /* its pairs; "" if there are none */
	weir_nsec shut;       /* for so long nobody may call its upstream */
	enum weir_outcome told;
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
	outcome->told = attempt->outcome;
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
	outcome.call = (struct step_call){.run = "0123456789abcdef0123456789abcdef",
					  .item = &bed->item,
					  .input = &input,
					  .value = bed->value,
					  .attempt = attempt,
					  .last_attempt = last,
					  .may_die = last,
					  .evidence = &evidence,
					  .explain = bed->explain,
					  .note = &bed->note,
					  .outputs = &outcome.outputs};
	call_upstream(bed, &outcome);
	outcome.evidence = test_format("%s", evidence.data ? evidence.data : "");
	buf_fini(&evidence);
	ck_assert_uint_le(outcome.outputs.n, 1);
	outcome.text = outcome.outputs.n ? test_format("%s", outcome.outputs.values[0].data) : "";
	value_list_fini(&outcome.outputs);
	ck_assert_msg(outcome.verdict != STEP_OK || !input.json, "%s was not forgotten while its request lasted", item);
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

/* The boundary that the request had, by the answer of /echo. */
static const char *find_boundary(const struct outcome *outcome)
{
	static const char word[] = "boundary=";
	const char *at = strstr(outcome->text, word);
	ck_assert_msg(at, "%s: %s", outcome->call.why, outcome->text);
	at += strlen(word);
	return test_format("%.*s", (int)strcspn(at, "\""), at);
}

LOOP_TEST(step_http_parts_have_a_boundary_that_stays_and_is_in_no_value)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/echo");
	struct step_http_part part = {.name = (char[]){"v"}, .value = make_template("${.v}", 0)};
	bed->config.method = STEP_HTTP_POST;
	bed->config.max_upload = 1000;
	bed->config.multipart = (struct key_list){.elements = &part, .n = 1};
	struct outcome first = run(bed, "{\"v\":\"x\"}"), again = run_attempt(bed, "{\"v\":\"y\"}", 2, false);
	const char *boundary = find_boundary(&first);
	ck_assert_str_eq(find_boundary(&again), boundary);
	struct outcome other = run(bed, test_format("{\"v\":\"--%s--\"}", boundary));
	ck_assert_str_ne(find_boundary(&other), boundary);
	ck_assert_int_eq(run(bed, test_format("{\"v\":\"%01000d\"}", 7)).verdict, STEP_DEAD);
	template_free(part.value);
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

LOOP_TEST(step_http_lists_say_what_is_tried_again_and_what_is_throttled)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/status/${.s}");
	int64_t again[] = {409, 202}, throttled[] = {401};
	bed->config.retry_on = (struct key_counts){.values = again, .n = 2};
	bed->config.throttled_on = (struct key_counts){.values = throttled, .n = 1};
	static const struct {
		int status;
		enum step_verdict verdict;
		enum weir_outcome outcome; /* what the upstream's gate is told */
	} rows[] = {{409, STEP_RETRY, WEIR_OUTCOME_GOOD},        {202, STEP_RETRY, WEIR_OUTCOME_GOOD},
		    {401, STEP_REFUSED, WEIR_OUTCOME_THROTTLED}, {429, STEP_REFUSED, WEIR_OUTCOME_THROTTLED},
		    {423, STEP_DEAD, WEIR_OUTCOME_GOOD},         {403, STEP_DEAD, WEIR_OUTCOME_DENIED},
		    {500, STEP_RETRY, WEIR_OUTCOME_ERROR},       {503, STEP_RETRY, WEIR_OUTCOME_FAILED}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct outcome got = run(bed, test_format("{\"s\":%d}", rows[i].status));
		ck_assert_msg(got.verdict == rows[i].verdict && got.told == rows[i].outcome, "%d: %d %d %s",
			      rows[i].status, got.verdict, got.told, got.call.why);
		ck_assert_str_eq(got.call.why, test_format("status: %d", rows[i].status));
	}
	free_bed(bed);
}

/* The mock answers with what it is sent: {"body": ITEM, …} as a text. */
static struct bed *make_bed_with_rules(const struct step_http_rule *rules, size_t n)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/echo");
	bed->config.method = STEP_HTTP_POST;
	bed->config.body = make_template("${.}", 0);
	bed->config.when = (struct key_list){.elements = (void *)(uintptr_t)rules, .n = n};
	return bed;
}

#define SENT ".body.body | fromjson"

LOOP_TEST(step_http_first_rule_that_holds_says_what_an_answer_means)
{
	struct step_http_rule rules[] = {
		{(char[]){SENT " | .state == \"pending\" # not ready"}, STEP_HTTP_RETRY, {.time = 7 * WEIR_SEC}},
		{(char[]){"def code: " SENT " | .code; code == \"THROTTLED\""},
		 STEP_HTTP_THROTTLED,
		 {.program = (char[]){SENT " | .cost / 2 # s"}}},
		{(char[]){SENT " | .gone"}, STEP_HTTP_DROP},
		{(char[]){".headers[\"content-type\"] == \"application/json\" and .status == 200 and (" SENT
			  " | .bad)"},
		 STEP_HTTP_DEAD},
		{(char[]){SENT " | .code == \"QUOTA\""}, STEP_HTTP_PAUSE},
		{(char[]){".attempt == 3"}, STEP_HTTP_DEAD},
		{(char[]){SENT " | .state == \"pending\""}, STEP_HTTP_DEAD},
	};
	static const struct {
		const char *item;
		enum step_verdict verdict;
		const char *why;
		weir_nsec after;
		enum weir_outcome told;
	} rows[] = {
		{"{\"state\":\"pending\"}", STEP_RETRY, "status: 200 (rule 1 of when)", 7 * WEIR_SEC,
		 WEIR_OUTCOME_GOOD},
		{"{\"state\":\"pending\",\"id\":9007199254740993}", STEP_RETRY, "status: 200 (rule 1 of when)",
		 7 * WEIR_SEC, WEIR_OUTCOME_GOOD},
		{"{\"code\":\"THROTTLED\",\"cost\":40}", STEP_REFUSED, "status: 200 (rule 2 of when)", 0,
		 WEIR_OUTCOME_THROTTLED},
		{"{\"code\":\"THROTTLED\",\"cost\":-40}", STEP_REFUSED, "status: 200 (rule 2 of when)", 0,
		 WEIR_OUTCOME_THROTTLED},
		{"{\"gone\":true}", STEP_OK, "", 0, WEIR_OUTCOME_GOOD},
		{"{\"bad\":true}", STEP_DEAD, "status: 200 (rule 4 of when)", 0, WEIR_OUTCOME_GOOD},
		{"{\"code\":\"QUOTA\"}", STEP_REFUSED, "status: 200 (rule 5 of when)", 0, WEIR_OUTCOME_RELEASED},
	};
	struct bed *bed = make_bed_with_rules(rules, sizeof rules / sizeof *rules);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct outcome got = run(bed, rows[i].item);
		ck_assert_msg(got.verdict == rows[i].verdict && got.call.after == rows[i].after &&
				      got.told == rows[i].told && got.outputs.n == 0,
			      "%s: %d, %d, %lld, %s", rows[i].item, got.verdict, got.told, (long long)got.call.after,
			      got.call.why);
		ck_assert_str_eq(got.call.why, rows[i].why);
		ck_assert(got.call.pause == (rows[i].told == WEIR_OUTCOME_RELEASED) && got.call.sent == 1);
		if (i == 2)
			ck_assert(got.shut > 19 * WEIR_SEC && got.shut < 22 * WEIR_SEC);
	}
	/* None holds: as the status says. */
	ck_assert_int_eq(run(bed, "{}").verdict, STEP_OK);
	ck_assert_int_eq(run_attempt(bed, "{}", 3, false).verdict, STEP_DEAD);
	free_bed(bed);
}

LOOP_TEST(step_http_rule_goes_before_the_status)
{
	struct step_http_rule rules[] = {
		{(char[]){".status == 404 and (.body | type) == \"object\""}, STEP_HTTP_OK},
		{(char[]){".status == 503"}, STEP_HTTP_DEAD},
		{(char[]){".status == 401"}, STEP_HTTP_RETRY},
	};
	struct bed *bed = make_bed("http://127.0.0.1:%u/status/${.s}");
	bed->config.expect = STEP_HTTP_TEXT;
	bed->config.when = (struct key_list){.elements = rules, .n = 3};
	ck_assert_int_eq(run(bed, "{\"s\":404}").verdict, STEP_OK);
	struct outcome got = run(bed, "{\"s\":503}");
	ck_assert(got.verdict == STEP_DEAD && got.told == WEIR_OUTCOME_FAILED);
	got = run(bed, "{\"s\":401}");
	ck_assert(got.verdict == STEP_RETRY && got.told == WEIR_OUTCOME_GOOD);
	ck_assert_int_eq(run(bed, "{\"s\":500}").verdict, STEP_RETRY);
	free_bed(bed);
}

LOOP_TEST(step_http_rule_that_cannot_be_asked_is_named)
{
	static const struct {
		const char *condition, *after, *why;
	} rows[] = {
		{".body.nix.x | error(\"no\\nx\")", NULL, "when: rule 2: if: no x"},
		{".body[0]", NULL, "when: rule 2: if: Cannot index object with number"},
		{"empty", NULL, "when: rule 2: if gives 0 outputs, expected one"},
		{"true, false", NULL, "when: rule 2: if gives 2 outputs, expected one"},
		{"true", "\"2s\"", "when: rule 2: after gives string, expected seconds"},
		{"true", "1, 2", "when: rule 2: after gives 2 outputs, expected one"},
		{"true", "error({code: 7})", "when: rule 2: after: {\"code\":7}"},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct step_http_rule rules[] = {
			{(char[]){"null"}, STEP_HTTP_DROP},
			{(char *)(uintptr_t)rows[i].condition,
			 STEP_HTTP_RETRY,
			 {.program = (char *)(uintptr_t)rows[i].after}},
			{(char[]){"true"}, STEP_HTTP_OK},
		};
		struct bed *bed = make_bed_with_rules(rules, 3);
		struct outcome got = run(bed, "{}");
		ck_assert_int_eq(got.verdict, STEP_DEAD);
		ck_assert_str_eq(got.call.why, rows[i].why);
		free_bed(bed);
	}
}

LOOP_TEST(step_http_asks_for_a_job_where_its_answer_says)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/echo?id=7");
	bed->config.poll_every = 5 * WEIR_SEC;
	bed->config.poll_url = make_template("/echo?of=${.method}&after=${meta.status}", TEMPLATE_URL);
	bed->config.poll_done = (char[]){".body.method == \"GET\" and .body.body == \"\""};
	bed->config.body = make_template("{\"n\":${.n}}", 0);
	bed->config.method = STEP_HTTP_POST;
	struct outcome got = run(bed, "{\"n\":7}");
	ck_assert_int_eq(got.verdict, STEP_WAIT);
	ck_assert_int_eq(got.call.after, 5 * WEIR_SEC);
	ck_assert_int_eq(got.told, WEIR_OUTCOME_GOOD);
	got = run(bed, "{\"n\":7}");
	ck_assert_msg(got.verdict == STEP_OK, "%s", got.call.why);
	ck_assert_msg(strstr(got.text, "/echo?of=POST&after=200"), "%s", got.text);
	free_bed(bed);
}

LOOP_TEST(step_http_job_has_a_longest_time)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/status/202");
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	bed->config.poll_every = 5 * WEIR_SEC;
	bed->config.poll_at_most = 60 * WEIR_SEC;
	const char *url = template_text(bed->config.url);
	bed->note = strdup(test_format("%lld000 %s", (long long)now.tv_sec - 58, url));
	struct outcome got = run(bed, "{}");
	ck_assert_int_eq(got.verdict, STEP_WAIT); /* asked once more, in the end */
	ck_assert_int_le(got.call.after, 3 * WEIR_SEC);
	free(bed->note);
	bed->note = strdup(test_format("%lld000 %s", (long long)now.tv_sec - 60, url));
	got = run(bed, "{}");
	ck_assert_int_eq(got.verdict, STEP_DEAD);
	ck_assert_str_eq(got.call.why, "poll: the job has taken longer than poll.at_most");
	free_bed(bed);
}

LOOP_TEST(step_http_job_that_cannot_be_asked_for_is_a_dead_letter)
{
	static const struct {
		const char *url, *done, *why;
	} rows[] = {
		{NULL, "empty", "poll: done gives 0 outputs, expected one"},
		{NULL, "false", "poll: the answer has no header Location; set poll.url"},
		{"${.nix}", "false", "poll: nothing at .nix"},
		{"http://${meta.headers.nix}/", "false", "poll: nothing at meta.headers.nix"},
		{"http://127.0.0.2/${.method}", "false", ""},
		{"//127.0.0.2/", "false", "poll: the job is at another host, http://127.0.0.2:80; "},
		{"http://a b/", "false", "poll: the address of the job "},
		{"ftp://127.0.0.1/", "false", "poll: the address of the job "},
	};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct bed *bed = make_bed("http://127.0.0.1:%u/echo");
		bed->config.poll_every = WEIR_SEC;
		bed->config.poll_done = (char *)(uintptr_t)rows[i].done;
		bed->config.poll_url = rows[i].url ? make_template(rows[i].url, 0) : NULL;
		struct outcome got = run(bed, "{}");
		ck_assert_int_eq(got.verdict, *rows[i].why ? STEP_DEAD : STEP_WAIT);
		ck_assert_msg(!strncmp(got.call.why, rows[i].why, strlen(rows[i].why)), "%s", got.call.why);
		free_bed(bed);
	}
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
	const struct step_http_config config = {0};
	ck_assert_int_eq(step_http_by_status(&config, &response).then, STEP_HTTP_DEAD);
	response.hint.left = 0;
	ck_assert_int_eq(step_http_by_status(&config, &response).then, STEP_HTTP_THROTTLED);
	response.status = 404;
	ck_assert_int_eq(step_http_by_status(&config, &response).then, STEP_HTTP_DEAD);
}

TEST(step_http_obeys_a_server_that_says_whether_to_retry)
{
	static const struct {
		int status, should_retry;
		enum step_http_then then;
		bool is_final;
	} rows[] = {
		{409, 1, STEP_HTTP_RETRY, false},     {409, 0, STEP_HTTP_DEAD, false},
		{409, -1, STEP_HTTP_DEAD, false},     {500, -1, STEP_HTTP_DEAD, true},
		{501, 1, STEP_HTTP_RETRY, false},     {429, -1, STEP_HTTP_THROTTLED, false},
		{429, 1, STEP_HTTP_THROTTLED, false}, {200, -1, STEP_HTTP_OK, false},
		{304, 1, STEP_HTTP_DEAD, false},
	};
	const struct step_http_config config = {0};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		const struct http_response response = {.status = rows[i].status, .should_retry = rows[i].should_retry};
		struct http_verdict verdict = step_http_by_status(&config, &response);
		ck_assert_msg(verdict.then == rows[i].then && verdict.is_final == rows[i].is_final, "%d, %d: %d",
			      rows[i].status, rows[i].should_retry, verdict.then);
	}
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
	expect(bed, "html", 1, STEP_DEAD, "not json: an HTML page: \"");
	expect(bed, "bad-json", 1, STEP_DEAD, "not json: ");
	expect(bed, "bad-utf8", 1, STEP_DEAD, "not json: ");
	expect(bed, "big-header", 1, STEP_DEAD, "too large: a header over 100 KiB");
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

/* The header that the step sends; "": none. */
static void expect_key(struct bed *bed, const char *key)
{
	struct outcome got = run(bed, "{\"id\":\"o-7\"}");
	struct json *json;
	ck_assert_msg(got.verdict == STEP_OK, "%s", got.call.why);
	ck_assert_int_eq(json_parse(got.text, strlen(got.text), &json, NULL), 0);
	ck_assert_str_eq(json_member_text(json_member(json, "headers"), "idempotency-key"), key);
	json_free(json);
	step_http_adapter.step->close(bed->step);
	bed->step = NULL;
}

LOOP_TEST(step_http_sends_the_key_of_the_item_with_methods_that_are_not_idempotent)
{
	static const int methods[] = {STEP_HTTP_POST, STEP_HTTP_PATCH, STEP_HTTP_GET, STEP_HTTP_PUT, STEP_HTTP_DELETE};
	struct bed *bed = make_bed("http://127.0.0.1:%u/echo");
	for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
		bed->config.method = methods[i];
		expect_key(bed, i < 2 ? "0123456789abcdef0123456789abcdef-300" : "");
	}
	bed->config.method = STEP_HTTP_POST;
	bed->item.number = 257; /* it is a dead letter that was replayed */
	expect_key(bed, "0123456789abcdef0123456789abcdef-257");
	bed->item.key = (char *)(uintptr_t) "order o-7";
	expect_key(bed, "order o-7");
	bed->value = 1;
	expect_key(bed, "order o-7.2");
	bed->env.key_number = 3;
	expect_key(bed, "order o-7.2-3");
	bed->value = 0;
	expect_key(bed, "order o-7-3");
	free_bed(bed);
}

LOOP_TEST(step_http_takes_a_key_of_the_config_instead_and_an_empty_one_for_none)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/echo");
	static const char *const values[][2] = {{"mine", "mine"},
						{"${.id}-b", "o-7-b"},
						{"\"${meta.key}\"", "\"0123456789abcdef0123456789abcdef-300\""},
						{"", ""}};
	struct key_header header = {.name = "idempotency-KEY"};
	bed->config.method = STEP_HTTP_POST;
	bed->env.key_number = 2; /* ${meta.key} is that of the item */
	bed->config.headers = (struct key_headers){.headers = &header, .n = 1};
	for (size_t i = 0; i < sizeof values / sizeof *values; i++) {
		template_free(header.value);
		header.value = make_template(values[i][0], TEMPLATE_HEADER);
		expect_key(bed, values[i][1]);
	}
	struct outcome got = run(bed, "{\"id\":1}");
	ck_assert_msg(!strcasestr(got.text, "idempotency"), "%s", got.text);
	free_bed(bed);
}

LOOP_TEST(step_http_dead_letters_have_the_key_that_was_sent)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/status/422");
	bed->config.method = STEP_HTTP_POST;
	bed->item.key = (char *)(uintptr_t) "o-7";
	struct outcome got = run(bed, "1");
	ck_assert_int_eq(got.verdict, STEP_DEAD);
	ck_assert_msg(strstr(got.evidence, "\"key\":\"o-7\""), "%s", got.evidence);
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

LOOP_TEST(step_http_sends_what_an_expression_makes_of_the_item)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/echo");
	bed->config.method = STEP_HTTP_POST;
	bed->config.json.program =
		(char[]){"select(.n) | {text: \"<\\(.q)>\", n: .n[], from: $source, attempt: $meta.attempt}"};
	struct outcome got = run(bed, "{\"q\":\"a\\\"b\",\"n\":[9007199254740993]}");
	ck_assert_msg(got.verdict == STEP_OK, "%s", got.call.why);
	ck_assert_ptr_nonnull(strstr(got.text, "{\\\"text\\\":\\\"<a\\\\\\\"b>\\\",\\\"n\\\":9007199254740993,"
					       "\\\"from\\\":\\\"line\\\",\\\"attempt\\\":1}"));
	ck_assert_ptr_nonnull(strstr(got.text, "application/json"));
	static const struct {
		const char *item, *why;
	} rows[] = {{"{\"q\":1}", "json: the program gives 0 outputs, expected one"},
		    {"{\"n\":[1,2]}", "json: the program gives 2 outputs, expected one"},
		    {"{\"n\":7}", "json: jq: Cannot iterate over number (7)"}};
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		got = run(bed, rows[i].item);
		ck_assert(got.verdict == STEP_DEAD && !got.call.sent);
		ck_assert_str_eq(got.call.why, rows[i].why);
	}
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
	ck_assert_int_eq(judge_encoded(STEP_HTTP_JSON, "lzma", "\x1f\x8b\x08", why), STEP_DEAD);
	ck_assert_str_eq(why, "not json: the server sent Content-Encoding: lzma, which weir does not decode");
	ck_assert_int_eq(judge_encoded(STEP_HTTP_TEXT, "gzip,br", "\x1f\x8b\x08", why), STEP_DEAD);
	ck_assert_str_eq(why, "not text: the server sent Content-Encoding: gzip,br, which weir does not decode");
	ck_assert_int_eq(judge_encoded(STEP_HTTP_JSON, "lzma", "{}", why), STEP_OK); /* it only said so */
	ck_assert_int_eq(judge_encoded(STEP_HTTP_BYTES, "lzma", "\x1f\x8b\x08", why), STEP_OK);
	ck_assert_int_eq(judge_encoded(STEP_HTTP_JSON, "", "\x1f\x8b\x08", why), STEP_DEAD);
	ck_assert_str_eq(why, "not json: \\x1f\\x8b\\x08");
}

/* What is said of a good answer with that body, where JSON is expected. */
static const char *why_not_json(const char *body)
{
	static char why[256];
	ck_assert_int_eq(judge_encoded(STEP_HTTP_JSON, "", body, why), STEP_DEAD);
	return why;
}

TEST(step_http_says_what_is_no_json_and_where)
{
	static const char page[] = "not json: an HTML page: \"502 Bad Gateway\"";
	ck_assert_str_eq(why_not_json("\xef\xbb\xbf\n <!DOCTYPE html>\n<html><title>502 Bad Gateway</title>"), page);
	ck_assert_str_eq(why_not_json("<HTML lang=de><head><title> 502 Bad Gateway\n</title></head>"), page);
	ck_assert_str_eq(why_not_json("<html></html>"), "not json: an HTML page");
	ck_assert_str_eq(why_not_json(" upstream timed out\nat 7"), "not json:  upstream timed out at 7");
	ck_assert_str_eq(why_not_json("<?xml version='1.0'?>"), "not json: <?xml version='1.0'?>");
	ck_assert_str_eq(why_not_json("{\"a\":\n\t[1, NaN]}"),
			 "not json: expected a value, found 'N' (line 2, column 6: {\"a\":  [1, NaN]})");
	ck_assert_str_eq(why_not_json("{\"a\": 1"),
			 "not json: expected ',' or '}', found the end (line 1, column 8: {\"a\": 1)");
	char large[40001], *at = large;
	memset(large, ' ', sizeof large - 1);
	large[sizeof large - 1] = 0;
	memcpy(large, "{\"items\": [", 11);
	at = large + 20000;
	memcpy(at, "{\"id\": 700, \"name\": \"item 700\", \"v\": NaN}, {\"id\": 701, \"name\": \"item 701\"", 73);
	ck_assert_str_eq(why_not_json(large),
			 "not json: expected a value, found 'N' (line 1, column 20038: ...   {\"id\": "
			 "700, \"name\": \"item 700\", \"v\": NaN}, {\"id\": 701, \"name\": \"item 701\"    ...)");
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
		{"{\"url\":\"http://\"}", "url: has no host"},
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
	expect_evidence(
		&got,
		"/status/404?key=***\",\"key\":\"0123456789abcdef0123456789abcdef-300\",\"status\":404,\"headers\":{");
	expect_evidence(&got, "\"content-type\":\"");
	expect_evidence(&got, ",\"answer\":\"");
	expect_evidence(&got, ",\"sent\":\"{\\\"s\\\":404,\\\"token\\\":\\\"***\\\"}\"");
	expect_evidence(&got, ",\"curl\":\"curl ");
	ck_assert_ptr_null(strstr(got.evidence, "sent_headers"));
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

/* ---- for who looks on */

LOOP_TEST(step_http_explains_a_success_if_asked_to)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/orders/7?key=c4n4ry-7731");
	ck_assert_int_eq(secret_add_reference("c4n4ry-7731", 11, "${env:TOKEN}"), 0);
	bed->explain = true;
	bed->config.bearer = (char[]){"c4n4ry-7731"};
	struct outcome got = run(bed, "{\"id\":7}");
	ck_assert_msg(got.verdict == STEP_OK && strstr(got.text, "\"id\":7"), "%s", got.call.why);
	expect_evidence(&got, "/orders/7?key=***\",\"status\":200,\"headers\":{");
	expect_evidence(&got, "\"answer\":\"{\\\"id\\\":7,");
	expect_evidence(&got, "\"sent_headers\":{\"Authorization\":\"Bearer ***\",\"Accept-Encoding\":\"");
	expect_evidence(&got,
			"/orders/7?key=$TOKEN\\\" \\\\\\n  -H \\\"Authorization: Bearer $TOKEN\\\" \\\\\\n  -A weir "
			"\\\\\\n  --compressed\"");
	ck_assert_ptr_null(strstr(got.evidence, "c4n4ry"));
	secret_clear();
	free_bed(bed);
}

static const char *curl_of(struct bed *bed, const char *item)
{
	struct buf object = {0};
	struct json *json = NULL;
	bed->explain = true;
	struct outcome got = run(bed, item);
	buf_addf(&object, "{%s}", got.evidence);
	ck_assert_int_eq(json_parse(object.data, object.len, &json, NULL), 0);
	const char *kept = test_format("%s", json_member_text(json, "curl"));
	json_free(json);
	buf_fini(&object);
	return kept;
}

static void expect_curl(struct bed *bed, const char *item, const char *part)
{
	const char *curl = curl_of(bed, item);
	ck_assert_msg(strstr(curl, part) != NULL, "no %s in %s", part, curl);
}

LOOP_TEST(step_http_curl_sends_the_same)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/echo?v=${raw:.v}");
	struct key_header headers[] = {{"X-Id", make_template("n${.id}", TEMPLATE_HEADER)},
				       {"X-Empty", make_template("", TEMPLATE_HEADER)},
				       {"User-Agent", make_template("me", TEMPLATE_HEADER)}};
	bed->config.headers = (struct key_headers){.headers = headers, .n = 3};
	bed->config.basic = (char[]){"Aladdin:open sesame"};
	bed->config.expect = STEP_HTTP_TEXT;
	expect_curl(bed, "{\"id\":7,\"v\":\"a[1]/../b\"}", "curl -g --path-as-is 'http://127.0.0.1:");
	expect_curl(bed, "{\"id\":7,\"v\":1}",
		    "/echo?v=1' \\\n  -u 'Aladdin:open sesame' \\\n  -H 'X-Id: n7' \\\n  -H 'X-Empty;'"
		    " \\\n  -H 'User-Agent: me'");
	ck_assert_ptr_null(strstr(curl_of(bed, "{\"id\":7,\"v\":1}"), "weir"));
	bed->config.method = STEP_HTTP_HEAD;
	expect_curl(bed, "{\"id\":7,\"v\":1}", "curl -I ");
	bed->config.method = STEP_HTTP_DELETE;
	expect_curl(bed, "{\"id\":7,\"v\":1}", "curl -X DELETE ");
	bed->config.method = STEP_HTTP_PUT;
	expect_curl(bed, "{\"id\":7,\"v\":1}", "curl -X PUT ");
	expect_curl(bed, "{\"id\":7,\"v\":1}", " --data-raw ''");
	free_bed(bed);
}

LOOP_TEST(step_http_curl_goes_the_same_way)
{
	struct bed *bed = make_bed("https://127.0.0.1:%u/a?b");
	bed->config.tls.server_name = (char[]){"inside.example"};
	bed->config.proxy = (char[]){"none"};
	bed->config.compress = STEP_HTTP_PLAIN;
	expect_curl(bed, "{}", "curl 'https://inside.example:");
	expect_curl(bed, "{}", "/a?b' \\\n  --connect-to ::127.0.0.1:");
	expect_curl(bed, "{}", " \\\n  --noproxy '*' \\\n  -H 'Host: 127.0.0.1:");
	free_bed(bed);
	bed = make_bed("http://127.0.0.1:%u/a?b");
	bed->config.proxy = (char[]){"socks5://u:hunter22@127.0.0.1:1"};
	expect_curl(bed, "{}", "/a?b' \\\n  --proxy 'socks5://u:***@127.0.0.1:1' \\\n  -A weir \\\n  --compressed");
	secret_clear();
	free_bed(bed);
}

/* Which curl cannot: the server takes it as it is, too. */
LOOP_TEST(step_http_curl_does_not_compress_its_body)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/echo");
	bed->config.method = STEP_HTTP_POST;
	bed->config.body = make_template("[${.v}]", 0);
	bed->config.compress = STEP_HTTP_PLAIN;
	bed->config.compress_body = CODEC_GZIP;
	expect_curl(bed, "{\"v\":1}", "--data-raw '[1]'");
	ck_assert_ptr_null(strstr(curl_of(bed, "{\"v\":1}"), "ncoding"));
	free_bed(bed);
}

LOOP_TEST(step_http_curl_takes_a_long_body_from_its_input)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/echo");
	bed->config.method = STEP_HTTP_POST;
	bed->config.body = make_template("{\"v\":\"${.v}\"}", 0);
	expect_curl(bed, "{\"v\":\"it's\"}", "--data-raw '{\"v\":\"it'\\''s\"}'");
	char item[6000];
	snprintf(item, sizeof item, "{\"v\":\"%05000d\"}", 0);
	expect_curl(bed, item, "--data-binary @-");
	free_bed(bed);
}

/* It would not send all of it. */
LOOP_TEST(step_http_dead_letter_has_no_curl_for_a_long_request)
{
	struct bed *bed = make_bed("http://127.0.0.1:%u/status/404?v=${.v}");
	char item[6000];
	snprintf(item, sizeof item, "{\"v\":\"%05000d\"}", 0);
	struct outcome got = run(bed, item);
	expect_evidence(&got, "\"url_bytes\":");
	ck_assert_ptr_null(strstr(got.evidence, "\"curl\""));
	free_bed(bed);
	bed = make_bed("http://127.0.0.1:%u/status/404");
	bed->config.method = STEP_HTTP_POST;
	bed->config.body = make_template("{\"v\":\"${.v}\"}", 0);
	got = run(bed, item);
	expect_evidence(&got, "\"sent_bytes\":");
	ck_assert_ptr_null(strstr(got.evidence, "\"curl\""));
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

	/* The same token is no new one, and neither is what is not a token. */
	struct outcome outcome = run(bed, "401");
	ck_assert_int_eq(outcome.verdict, STEP_DEAD);
	ck_assert_str_eq(outcome.call.why, "status: 401");
	test_write_file("token", "");
	ck_assert_int_eq(run(bed, "401").verdict, STEP_DEAD);

	test_write_file("token", "second\n");
	outcome = run(bed, "401");
	ck_assert_int_eq(outcome.verdict, STEP_REFUSED);
	ck_assert_str_eq(outcome.call.why, "status: 401; again with new credentials");
	ck_assert_int_eq(outcome.told, WEIR_OUTCOME_RELEASED);
	ck_assert_int_eq(run(bed, "401").verdict, STEP_DEAD);

	/* One that was accepted may have expired before its successor is there. */
	ck_assert_int_eq(run(bed, "200").verdict, STEP_OK);
	outcome = run(bed, "401");
	ck_assert(outcome.verdict == STEP_REFUSED && outcome.call.after == 5 * WEIR_SEC);
	ck_assert_int_eq(outcome.told, WEIR_OUTCOME_DENIED);
	test_write_file("token", "third\n");
	ck_assert_int_eq(run(bed, "403").verdict, STEP_DEAD);
	free_bed(bed);
	secret_clear();
}
