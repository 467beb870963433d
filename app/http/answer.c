/* SPDX-License-Identifier: MIT */
/*
 * What becomes of an item by what its answer means (verdict.c).
 *
 *     a good answer      output, if the body is what was expected (where JSON is, none is null); else a dead letter
 *     a redirect         followed (follow.c), or dead
 *     no whole answer    tried again, but for what cannot get better: too large, not allowed, certificate
 *
 * A body whose length nobody stated may have been cut without a trace.  If it is no JSON it may have been a transport
 * error; so, too, an answer that is not HTTP, or a compressed body that is damaged.  Those are tried twice.  Bytes of
 * an answer before say nothing of this one.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <weir/run.h>

#include "http/encoding.h"
#include "http/exchange.h"

#include "data/json_writer.h"

#define DOUBTFUL_ATTEMPTS 2
#define EXCERPT_BYTES     80

/* "10 MiB" or plain bytes. */
static void format_size(char *to, size_t room, uint64_t bytes)
{
	if (bytes >> 20 && bytes % (1u << 20) == 0)
		snprintf(to, room, "%llu MiB", (unsigned long long)(bytes >> 20));
	else if (bytes >> 10 && bytes % (1u << 10) == 0)
		snprintf(to, room, "%llu KiB", (unsigned long long)(bytes >> 10));
	else
		snprintf(to, room, "%llu bytes", (unsigned long long)bytes);
}

/* What to change: a key of the step, or the option of `weir get`, from which the others follow. */
static const char *name_clock(const struct http_step *step, enum http_clock clock)
{
	static const char *const names[] = {
		[HTTP_CLOCK_NONE] = "",
		[HTTP_CLOCK_CONNECT] = " (timeout.connect)",
		[HTTP_CLOCK_SILENCE] = " (timeout.first_byte)",
		[HTTP_CLOCK_TOTAL] = " (timeout.total)",
	};
	return step->is_list && clock != HTTP_CLOCK_NONE ? " (--timeout)" : names[clock];
}

enum step_verdict step_http_say_too_large(const struct http_step *step, struct step_call *call, const char *what,
					  const struct http_response *response)
{
	bool body = !strcmp(what, "body"), line = !strcmp(what, "header");
	const char *key = body            ? (step->is_list ? " (--max-body)" : " (max_body)")
			  : step->is_list ? ""
					  : " (max_headers)";
	char size[32], from[80] = "";
	if (response->encoded_bytes)
		snprintf(from, sizeof from, ", decoded from %zu bytes of %s", response->encoded_bytes,
			 response->encoding);
	if (!strcmp(what, "ratio"))
		return step_say(call, STEP_DEAD, "too large: body%s, is over %d times as long", from, HTTP_RATIO);
	if (!strcmp(what, "kept"))
		return step_say(call, STEP_DEAD, "too large: body over %zu MiB of an answer that is not saved",
				HTTP_KEPT_BYTES >> 20);
	if (line)
		return step_say(call, STEP_DEAD, "too large: a header over %zu KiB", HTTP_LINE_BYTES >> 10);
	format_size(size, sizeof size, body ? step->config->max_body : step->config->max_headers);
	return step_say(call, STEP_DEAD, "too large: %s over %s%s%s", what, size, key, from);
}

static enum step_verdict judge_failure(const struct http_step *step, struct step_call *call,
				       const struct http_response *response)
{
	enum step_verdict verdict = STEP_RETRY;
	switch (response->failure) {
	case HTTP_TOO_LARGE:
		return step_http_say_too_large(step, call, response->detail, response);
	case HTTP_CERTIFICATE:
	case HTTP_PROXY_DENIED:
	case HTTP_NOT_ALLOWED:
	case HTTP_BAD_URL:
		verdict = STEP_DEAD;
		break;
	case HTTP_PROTOCOL:
		verdict = response->is_stray || call->attempt < DOUBTFUL_ATTEMPTS ? STEP_RETRY : STEP_DEAD;
		break;
	default:
		break;
	}
	return step_say(call, verdict, "%s: %s%s", http_failure_name(response->failure), response->detail,
			response->failure == HTTP_TIMEOUT ? name_clock(step, response->clock) : "");
}

/* ---- answers that are not good ---- */

/* What the answer itself says is wrong, in quotes behind a colon; "" if it says nothing. */
static const char *say_error(const struct http_response *response, char text[EVIDENCE_ERROR_BYTES + 8])
{
	char line[EVIDENCE_ERROR_BYTES];
	size_t n = evidence_find_error(response->body, response->body_bytes, line);
	snprintf(text, EVIDENCE_ERROR_BYTES + 8, n ? ": \"%s\"" : "%s", line);
	return text;
}

enum step_verdict step_http_say_failed(struct step_call *call, const struct exchange *x)
{
	char error[EVIDENCE_ERROR_BYTES + 8];
	return step_say(call, STEP_DEAD, "poll: the job has failed%.200s", say_error(&x->response, error));
}

/* The run will tell it to somebody who has to do something. */
static enum step_verdict ask_for_a_pause(struct step_call *call, const struct exchange *x)
{
	char error[EVIDENCE_ERROR_BYTES + 8];
	call->pause = true;
	return step_say(call, STEP_REFUSED, "status: %d (rule %zu of when)%.200s", x->response.status, x->verdict.rule,
			say_error(&x->response, error));
}

/* Of one that is not followed. */
static enum step_verdict judge_redirect(const struct http_step *step, struct step_call *call, int status,
					const char *location)
{
	int64_t most = step->config->follow;
	if (!location)
		return step_say(call, STEP_DEAD, "status: %d without a Location", status);
	if (most)
		return step_say(call, STEP_DEAD, "redirect: more than %lld (%s), the last to %.150s", (long long)most,
				step->is_list ? "--follow" : "follow", location);
	return step_say(call, STEP_DEAD, "status: %d to %.150s; %s", status, location,
			step->is_list ? "--follow 5 follows it" : "set follow: 5 to follow it");
}

static enum step_verdict judge_status(const struct http_step *step, struct step_call *call, enum step_verdict verdict,
				      const struct exchange *x)
{
	int status = x->response.status;
	if (x->verdict.rule)
		return step_say(call, verdict, "status: %d (rule %zu of when)", status, x->verdict.rule);
	if (!x->verdict.is_said && http_is_redirect(status))
		return judge_redirect(step, call, status, x->response.location);
	return step_say(call, verdict, "status: %d%s", status,
			status == 407         ? ": the proxy wants another user and password (proxy)"
			: x->verdict.is_final ? "; the server says not to retry"
					      : "");
}

/* ---- bodies ---- */

const char *step_http_text(const struct http_response *response, size_t *ret_n)
{
	const char *body = response->body ? response->body : "";
	if (response->is_handed_on) {
		*ret_n = 0;
		return "";
	}
	size_t mark = response->body_bytes >= 3 && !memcmp(body, "\xef\xbb\xbf", 3) ? 3 : 0;
	*ret_n = response->body_bytes - mark;
	return body + mark;
}

static enum step_verdict is_encoded(struct step_call *call, const char *what, const char *encoding)
{
	return step_say(call, STEP_DEAD, "%s: the server sent Content-Encoding: %s, which weir does not decode", what,
			encoding);
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

/* Bytes of a body as one line of ASCII, as many as there is room for. */
static void write_excerpt(char text[EXCERPT_BYTES + 8], const char *bytes, size_t n)
{
	size_t used = 0;
	for (size_t i = 0; i < n && used < EXCERPT_BYTES; i++) {
		unsigned char c = (unsigned char)bytes[i];
		if (c >= ' ' && c < 0x7f)
			text[used++] = (char)c;
		else if (c == '\n' || c == '\r' || c == '\t')
			text[used++] = ' ';
		else
			used += (size_t)snprintf(text + used, 5, "\\x%02x", c);
	}
	text[used] = '\0';
}

static bool begins_with(const char *text, size_t n, const char *tag)
{
	return n >= strlen(tag) && !strncasecmp(text, tag, strlen(tag));
}

/* Where the parser's error is, in bytes. */
static size_t place_of(const struct weir_error *err, const char *text, size_t n)
{
	const char *line = text;
	for (int i = 1; i < err->line; i++)
		line = (const char *)memchr(line, '\n', n - (size_t)(line - text)) + 1;
	size_t at = (size_t)(line - text) + (err->column > 0 ? (size_t)err->column - 1 : 0);
	return at < n ? at : n;
}

/* A page, some text from its beginning, or JSON with a mistake in it: then the bytes around that.  They stand in
 * parentheses, for they differ from item to item (port/cause.h). */
static enum step_verdict not_json(struct step_call *call, enum step_verdict verdict,
				  const struct http_response *response, const struct weir_error *err)
{
	char excerpt[EXCERPT_BYTES + 8];
	size_t n, begin = 0;
	const char *text = step_http_text(response, &n);
	size_t at = place_of(err, text, n);
	while (begin < n && is_space(text[begin]))
		begin++;
	if (begins_with(text + begin, n - begin, "<!doctype html") || begins_with(text + begin, n - begin, "<html")) {
		char title[EVIDENCE_ERROR_BYTES + 8];
		return step_say(call, verdict, "not json: an HTML page%.200s", say_error(response, title));
	}
	if (at <= begin) {
		write_excerpt(excerpt, text, n);
		return step_say(call, verdict, "not json: %s", excerpt);
	}
	size_t from = at > EXCERPT_BYTES / 2 ? at - EXCERPT_BYTES / 2 : 0;
	write_excerpt(excerpt, text + from, n - from);
	return step_say(call, verdict, "not json: %.80s (line %d, column %d: %s%s%s)", err->text, err->line,
			err->column, from ? "..." : "", excerpt, n - from > EXCERPT_BYTES ? "..." : "");
}

/* Takes the body over. */
static enum step_verdict add_output(struct step_call *call, struct value *value)
{
	if (!value->data || value_list_take(call->outputs, value) < 0)
		return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(WEIR_ENOMEM));
	return STEP_OK;
}

static enum step_verdict add_buf(struct step_call *call, struct buf *buf)
{
	struct value value = {0};
	if (!buf->failed)
		value.data = buf_take(buf, &value.len);
	buf_fini(buf);
	return add_output(call, &value);
}

static enum step_verdict add_text(struct step_call *call, const char *text)
{
	struct value value = {0};
	value_copy(&value, text, strlen(text)); /* data is NULL without memory */
	return add_output(call, &value);
}

/* Without byte order mark and white space around it, and as one line: in valid JSON a raw line end is white space. */
static void fold_json(struct value *value)
{
	size_t from = value->len >= 3 && !memcmp(value->data, "\xef\xbb\xbf", 3) ? 3 : 0, end = value->len;
	while (from < end && is_space(value->data[from]))
		from++;
	while (end > from && is_space(value->data[end - 1]))
		end--;
	value->len = end - from;
	if (from)
		memmove(value->data, value->data + from, value->len);
	value->data[value->len] = '\0';
	for (char *c = value->data; (c = strpbrk(c, "\r\n")); c++)
		*c = ' ';
}

static enum step_verdict take_json(struct step_call *call, struct http_response *response)
{
	struct value value = {.data = response->body, .len = response->body_bytes};
	if (value.len == 0)
		return add_text(call, "null");
	size_t n;
	const char *text = step_http_text(response, &n);
	struct json *json = NULL;
	struct weir_error err = {0};
	int error = json_parse(text, n, &json, &err);
	if (error == WEIR_ENOMEM)
		return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(error));
	if (error < 0 && response->encoding[0] && !response->encoded_bytes)
		return is_encoded(call, "not json", response->encoding);
	if (error < 0) {
		bool doubtful = !response->length_known && call->attempt < DOUBTFUL_ATTEMPTS;
		return not_json(call, doubtful ? STEP_RETRY : STEP_DEAD, response, &err);
	}
	response->body = NULL;
	fold_json(&value);
	if (value_keep_json(&value, json))
		value_fini(&value);
	return add_output(call, &value);
}

static enum step_verdict take_text(struct step_call *call, const struct http_response *response)
{
	struct buf out = {0};
	const char *body = response->body ? response->body : "";
	bool text = json_utf8_valid(body, response->body_bytes);
	if (!text && response->encoding[0] && !response->encoded_bytes)
		return is_encoded(call, "not text", response->encoding);
	if (!text)
		return step_say(call, STEP_DEAD, "not text: the body is not valid UTF-8");
	buf_add_json_str(&out, body, response->body_bytes);
	return add_buf(call, &out);
}

/* The bytes of base64 are all plain. */
static void put_base64(struct buf *out, const char *name, const struct http_response *response)
{
	json_put_text(out, name, "");
	out->len -= out->len && !out->failed;
	buf_add_base64(out, response->body, response->body_bytes);
	buf_add_char(out, '"');
}

static enum step_verdict take_bytes(struct step_call *call, const struct http_response *response)
{
	struct buf out = {0};
	json_open(&out, NULL, '{');
	put_base64(&out, "base64", response);
	json_close(&out, '}');
	return add_buf(call, &out);
}

static enum step_verdict take_saved(struct step_call *call, const struct exchange *x)
{
	struct buf out = {0};
	json_open(&out, NULL, '{');
	json_put_int(&out, "status", x->response.status);
	step_http_put_saved(x, &out);
	json_close(&out, '}');
	return add_buf(call, &out);
}

enum step_verdict step_http_judge(const struct http_step *step, struct step_call *call, struct exchange *x)
{
	struct http_response *response = &x->response;
	if (response->failure != HTTP_ANSWERED)
		return judge_failure(step, call, response);
	switch (x->verdict.then) {
	case STEP_HTTP_OK:
		break;
	case STEP_HTTP_RETRY:
		call->after = x->verdict.after;
		return judge_status(step, call, STEP_RETRY, x);
	case STEP_HTTP_THROTTLED:
		return judge_status(step, call, STEP_REFUSED, x);
	case STEP_HTTP_DEAD:
		return judge_status(step, call, STEP_DEAD, x);
	case STEP_HTTP_DROP:
		return STEP_OK;
	case STEP_HTTP_PAUSE:
		return ask_for_a_pause(call, x);
	}
	if (step_http_is_saved(x))
		return step->config->record ? STEP_OK : take_saved(call, x);
	if (step->config->expect == STEP_HTTP_JSON)
		return take_json(call, response);
	if (step->config->record)
		return STEP_OK;
	return step->config->expect == STEP_HTTP_TEXT ? take_text(call, response) : take_bytes(call, response);
}

/* ---- the record about the request ---- */

/* The JSON value that was taken as the output; else text, or bytes. */
static void put_body(struct buf *out, const struct http_step *step, struct step_call *call,
		     const struct http_response *response, enum step_verdict verdict)
{
	const bool answered = response->failure == HTTP_ANSWERED && response->status;
	if (verdict == STEP_OK && step->config->expect == STEP_HTTP_JSON) {
		struct value *body = &call->outputs->values[--call->outputs->n];
		json_put_raw(out, "body", body->data, body->len);
		value_fini(body);
		return;
	}
	const char *body = response->body ? response->body : "";
	bool text = answered && step->config->expect != STEP_HTTP_BYTES && json_utf8_valid(body, response->body_bytes);
	json_put_bytes(out, "body", text ? body : NULL, response->body_bytes);
	if (answered && !text)
		put_base64(out, "body_base64", response);
}

enum step_verdict step_http_record(const struct http_step *step, struct step_call *call, const struct exchange *x,
				   enum step_verdict verdict)
{
	const struct http_response *response = &x->response;
	weir_nsec took = call->took + (x->hop ? x->hop->took : 0);
	struct buf out = {0};
	json_open(&out, NULL, '{');
	json_put_bytes(&out, "url", x->url.data ? x->url.data : "", x->url.len);
	if (step_http_final_url(x))
		json_put_text(&out, "final_url", step_http_final_url(x));
	if (response->status)
		json_put_int(&out, "status", response->status);
	else
		json_put_text(&out, "status", NULL);
	json_put_bool(&out, "ok", verdict == STEP_OK);
	json_put_real(&out, "latency_ms", (double)took / (double)WEIR_MSEC, 1);
	if (!step_http_is_saved(x))
		json_put_uint(&out, "bytes", response->body_bytes);
	json_put_uint(&out, "attempts", call->attempt - call->given_up);
	json_put_text(&out, "error", verdict == STEP_OK ? NULL : call->why);
	if (step_http_is_saved(x))
		step_http_put_saved(x, &out);
	else
		put_body(&out, step, call, response, verdict);
	if (!step_http_is_saved(x) && response->failure == HTTP_ANSWERED && response->encoding[0] &&
	    !response->encoded_bytes)
		json_put_text(&out, "content_encoding", response->encoding);
	json_close(&out, '}');
	enum step_verdict added = add_buf(call, &out);
	return added == STEP_OK ? verdict : added;
}
