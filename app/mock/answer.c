/* SPDX-License-Identifier: MIT */
/*
 * The order of decisions: what the upstream can take (a refusal comes at once), then the path's own answer, then what
 * the rules add to it: a fault (that of the path itself goes first), an error, a delay.  Faults that only change what
 * an answer says are applied here; those that change how it is sent are left for play.c, the framing chosen to go with
 * them.
 *
 * To add a path: a row in `routes` and its function.
 */
#include "answer.h"

#include <stdio.h>
#include <string.h>
#include <weir/run.h>

#include "content.h"
#include "data/json_writer.h"
#include "data/units.h"

static const char json[] = "application/json", html[] = "text/html; charset=utf-8", text_plain[] = "text/plain";
static const int64_t largest_json = (int64_t)1 << 34;

struct mock_call {
	struct mock_desk *desk;
	const struct mock_request *request;
	const char *text;
	struct mock_span path, rest; /* rest: behind the route */
	const struct buf *content;
	struct mock_answer *answer;
	bool uncounted;
};

int mock_desk_init(struct mock_desk *desk, const struct mock_config *config)
{
	*desk = (struct mock_desk){.config = config, .random = config->seed};
	return mock_capacity_init(&desk->capacity, &config->capacity);
}

void mock_desk_fini(struct mock_desk *desk)
{
	mock_capacity_fini(&desk->capacity);
	mock_once_fini(&desk->once);
	buf_fini(&desk->body);
}

static void fail(struct mock_desk *desk, struct mock_answer *answer, int status, const char *why)
{
	buf_clear(&desk->body);
	answer->status = status;
	answer->type = json;
	answer->pad = 0;
	answer->tail = "";
	json_open(&desk->body, NULL, '{');
	json_put_int(&desk->body, "error", status);
	json_put_text(&desk->body, "message", why);
	buf_add_str(&desk->body, "}\n");
}

static void route_order(struct mock_call *call)
{
	mock_content_order(&call->desk->body, call->rest);
}

static void route_page(struct mock_call *call)
{
	call->answer->type = html;
	mock_content_page(&call->desk->body, call->rest);
}

static void route_text(struct mock_call *call)
{
	call->answer->type = text_plain;
	buf_add_str(&call->desk->body, "A weir lets a river through at the rate the bed below can take.\n");
}

static void route_empty(struct mock_call *call)
{
	call->answer->status = 204;
}

static void route_echo(struct mock_call *call)
{
	mock_content_echo(&call->desk->body, call->request, call->text, call->content);
}

static void route_stats(struct mock_call *call)
{
	struct mock_desk *desk = call->desk;
	call->uncounted = true;
	if (mock_text_is(call->path, "/stats"))
		mock_stats_write(&desk->stats, &desk->capacity, &desk->body);
	else
		mock_meter_write(&desk->stats.meter, &desk->body);
}

/* JSON of exactly that many bytes. */
static void pad_json(struct buf *body, uint64_t bytes, struct mock_answer *answer)
{
	json_open(body, NULL, '{');
	json_put_text(body, "pad", "");
	uint64_t frame = body->len + 1;
	if (bytes < frame) {
		buf_clear(body);
		for (uint64_t i = 0; i < bytes; i++)
			buf_add_char(body, '1');
		return;
	}
	body->len -= body->len && !body->failed; /* what it is padded with goes before the quote */
	answer->pad = bytes - frame;
	answer->tail = "\"}";
}

static void route_json(struct mock_call *call)
{
	int64_t bytes;
	if (units_count(call->rest.at, call->rest.n, 0, largest_json, &bytes))
		pad_json(&call->desk->body, (uint64_t)bytes, call->answer);
	else
		fail(call->desk, call->answer, 404, "expected /json/BYTES");
}

static bool is_status_path(const struct mock_call *call)
{
	return call->path.n > 8 && !memcmp(call->path.at, "/status/", 8);
}

/* /fault/FAULT and /status/CODE are both written as a fault is. */
static void route_fault(struct mock_call *call)
{
	struct weir_error err = {0};
	struct mock_span spec = call->rest;
	if (is_status_path(call))
		spec = (struct mock_span){call->path.at + 1, call->path.n - 1};
	if (mock_fault_parse(&spec, &call->answer->fault, &err) < 0) {
		fail(call->desk, call->answer, 404, err.text);
		return;
	}
	mock_content_order(&call->desk->body, spec.n ? spec : (struct mock_span){"1", 1});
}

static void route_other(struct mock_call *call)
{
	json_open(&call->desk->body, NULL, '{');
	json_put_bytes(&call->desk->body, "path", call->path.at, call->path.n);
	buf_add_str(&call->desk->body, "}\n");
}

static const struct {
	const char *prefix; /* with a slash at its end: the beginning, else the whole path */
	void (*route)(struct mock_call *call);
} routes[] = {
	{"/orders/", route_order}, {"/html/", route_page}, {"/fault/", route_fault},
	{"/status/", route_fault}, {"/json/", route_json}, {"/text", route_text},
	{"/empty", route_empty},   {"/echo", route_echo},  {"/", route_other},
};

static void route(struct mock_call *call)
{
	for (size_t i = 0; i < sizeof routes / sizeof routes[0]; i++) {
		const char *prefix = routes[i].prefix;
		size_t n = strlen(prefix);
		if (call->path.n < n || memcmp(call->path.at, prefix, n))
			continue;
		if (prefix[n - 1] != '/' && call->path.n != n)
			continue;
		call->rest = (struct mock_span){call->path.at + n, call->path.n - n};
		routes[i].route(call);
		return;
	}
	route_other(call);
}

/* Without query, and without the host where the target has one. */
static struct mock_span path_of(const struct mock_request *request, const char *text)
{
	struct mock_span target = mock_request_text(&request->target, text);
	struct mock_span path = mock_text_cut(&target, '?');
	const char *host = path.at[0] == '/' ? NULL : memmem(path.at, path.n, "://", 3);
	if (host) {
		struct mock_span rest = {host + 3, path.n - (size_t)(host + 3 - path.at)};
		mock_text_cut(&rest, '/');
		path = rest.at == path.at + path.n && rest.at[-1] != '/' ? (struct mock_span){"/", 1}
									 : (struct mock_span){rest.at - 1, rest.n + 1};
	}
	return path;
}

static void say_status(struct mock_call *call, const struct mock_fault *fault)
{
	struct mock_answer *answer = call->answer;
	fail(call->desk, answer, (int)fault->argument, "as asked for");
	if (fault->argument == 204 || fault->argument == 205 || fault->argument == 304) {
		buf_clear(&call->desk->body);
		answer->type = NULL;
	}
	if (fault->retry_after[0])
		mock_retry_after(fault->retry_after, answer->retry_after, sizeof answer->retry_after);
}

/* Puts text in place of the body's last `cut` bytes. */
static void replace_tail(struct buf *body, size_t cut, const char *text)
{
	body->len = body->len > cut ? body->len - cut : 0;
	buf_add_str(body, text);
}

static void set_length(struct mock_answer *answer, int off)
{
	answer->length_off = off;
	answer->keep_alive = false;
}

/* Does now what can be done now; what is left stays in answer->fault. */
static void apply_fault(struct mock_call *call)
{
	struct mock_answer *answer = call->answer;
	struct mock_fault fault = answer->fault;
	struct buf *body = &call->desk->body;
	answer->fault.kind = MOCK_FAULT_NONE;
	switch (fault.kind) {
	case MOCK_FAULT_NONE:
		return;
	case MOCK_FAULT_STATUS:
		say_status(call, &fault);
		return;
	case MOCK_FAULT_HTML:
		buf_clear(body);
		answer->type = html;
		mock_content_page(body, (struct mock_span){"in place of JSON", 16});
		return;
	case MOCK_FAULT_BAD_JSON:
		replace_tail(body, 3, "\n");
		return;
	case MOCK_FAULT_BAD_UTF8:
		replace_tail(body, 2, ", \"note\" : \"caf\xe9 \xc0\xaf\"}\n");
		return;
	case MOCK_FAULT_BOM: {
		struct buf bare = *body;
		*body = (struct buf){0};
		buf_add_str(body, "\xEF\xBB\xBF");
		buf_add(body, bare.data, bare.len);
		buf_fini(&bare);
		return;
	}
	case MOCK_FAULT_EMPTY:
		buf_clear(body);
		return;
	case MOCK_FAULT_TOO_LONG:
		set_length(answer, 10);
		break;
	case MOCK_FAULT_TOO_SHORT:
		set_length(answer, -10);
		break;
	case MOCK_FAULT_HUGE_BODY:
		buf_clear(body);
		pad_json(body, fault.argument, answer);
		answer->framing = MOCK_CHUNKED;
		break;
	case MOCK_FAULT_CHUNK_CUT:
		answer->framing = MOCK_CHUNKED;
		break;
	case MOCK_FAULT_CLOSE_CUT:
		answer->framing = MOCK_UNTIL_CLOSE;
		answer->keep_alive = false;
		break;
	default:
		break;
	}
	answer->fault = fault;
}

static void add_fault(struct mock_call *call)
{
	struct mock_desk *desk = call->desk;
	struct mock_fault *fault = &call->answer->fault;
	bool counts = !is_status_path(call);
	if (!fault->kind) {
		const struct mock_fault *drawn = mock_config_draw_fault(desk->config, call->path, &desk->random);
		if (drawn)
			*fault = *drawn;
		counts = true;
	}
	if (fault->once && !mock_once_first(&desk->once, call->path))
		fault->kind = MOCK_FAULT_NONE;
	if (fault->kind && counts)
		desk->stats.by_fault[fault->kind]++;
	apply_fault(call);
}

static void say_retry_after(const struct mock_config *config, weir_nsec wait, struct mock_answer *answer)
{
	char text[32];
	if (config->retry_after) {
		snprintf(answer->retry_after, sizeof answer->retry_after, "%s", config->retry_after);
	} else if (wait) {
		snprintf(text, sizeof text, "%s%lld", config->retry_after_date ? "date:" : "",
			 (long long)((wait + WEIR_SEC - 1) / WEIR_SEC));
		mock_retry_after(text, answer->retry_after, sizeof answer->retry_after);
	}
}

/* What is stated about the limit; not while everything is out. */
static void tell_limit(struct mock_call *call, weir_nsec now)
{
	enum mock_limit_headers headers = call->desk->config->limit_headers;
	if (!headers)
		return;
	mock_bucket_quota(&call->desk->capacity.limit, now, &call->answer->quota);
	if (call->answer->quota.count)
		call->answer->limit_headers = headers;
}

static bool is_refused(struct mock_call *call, weir_nsec now)
{
	static const char *const why[] = {"", "out of order", "too many requests in flight", "over the limit"};
	struct mock_desk *desk = call->desk;
	int status;
	weir_nsec wait;
	enum mock_refusal refusal = mock_capacity_ask(&desk->capacity, now, &status, &wait);
	mock_meter_add(&desk->stats.meter, refusal != MOCK_TAKEN, now);
	if (refusal != MOCK_IN_OUTAGE)
		tell_limit(call, now);
	call->answer->taken = refusal == MOCK_TAKEN;
	if (call->answer->taken)
		return false;
	desk->stats.refusals[refusal]++;
	fail(desk, call->answer, status, why[refusal]);
	say_retry_after(desk->config, wait, call->answer);
	return true;
}

static void decide(struct mock_call *call)
{
	struct mock_desk *desk = call->desk;
	struct mock_answer *answer = call->answer;
	const struct mock_config *config = desk->config;
	if (mock_text_is(call->path, "/stats") || mock_text_is(call->path, "/stats/seconds")) {
		route_stats(call);
		return;
	}
	weir_nsec now = weir_clock();
	mock_stats_request(&desk->stats, call->path);
	if (is_refused(call, now))
		return;
	route(call);
	add_fault(call);
	if (!answer->fault.kind && mock_config_draw_error(config, call->path, &desk->random))
		fail(desk, answer, (int)config->error_status, "injected error");
	weir_nsec takes = mock_config_draw_latency(config, call->path, &desk->random);
	answer->delay = mock_capacity_work(&desk->capacity, takes, now);
}

/* Whether no status will be seen. */
static bool is_mute(enum mock_fault_kind kind)
{
	return kind == MOCK_FAULT_RESET || kind == MOCK_FAULT_CLOSE || kind == MOCK_FAULT_STALL ||
	       kind == MOCK_FAULT_GARBAGE;
}

void mock_answer_make(struct mock_desk *desk, const struct mock_request *request, const char *text,
		      const struct buf *content, struct mock_answer *ret_answer)
{
	struct mock_call call = {.desk = desk,
				 .request = request,
				 .text = text,
				 .path = path_of(request, text),
				 .content = content,
				 .answer = ret_answer};
	*ret_answer = (struct mock_answer){.status = 200,
					   .type = json,
					   .tail = "",
					   .keep_alive = request->keep_alive,
					   .is_head = request->is_head,
					   .is_http10 = request->is_http10};
	buf_clear(&desk->body);
	decide(&call);
	if (ret_answer->status == 204)
		ret_answer->type = NULL;
	if (!call.uncounted && !is_mute(ret_answer->fault.kind))
		mock_stats_answer(&desk->stats, ret_answer->status);
}

void mock_answer_refuse(struct mock_desk *desk, int status, struct mock_answer *ret_answer)
{
	*ret_answer = (struct mock_answer){0};
	fail(desk, ret_answer, status, status == 503 ? "too many connections" : "bad request");
	mock_stats_answer(&desk->stats, status);
}
