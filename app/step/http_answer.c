/* SPDX-License-Identifier: MIT */
/*
 * What an answer means.
 *
 *     a good status      output, if the body is what was expected; else a dead letter
 *     429, 503 + Retry-After   its gate shuts; refused: no attempt is used up.  A 403, too, that says when to come back
 *                        or that nothing is left of the quota: so GitHub says it
 *     408 425 5xx        tried again (not 501 and 505: they stay as they are)
 *     other 4xx, 3xx     dead
 *     no whole answer    tried again, but for what cannot get better: too large, not allowed, certificate
 *
 * A body whose length nobody stated may have been cut without a trace.  If it is no JSON it may have been a transport
 * error; so, too, an answer that is not HTTP.  Those are tried twice.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/run.h>

#include "step/http.h"

#define DOUBTFUL_ATTEMPTS 2
#define EXCERPT_BYTES     80

enum step_verdict step_http_say(struct step_call *call, enum step_verdict verdict, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(call->why, sizeof call->why, format, args);
	va_end(args);
	return verdict;
}

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

static enum step_verdict judge_failure(const struct step *step, struct step_call *call,
				       const struct http_response *response)
{
	char size[32];
	enum step_verdict verdict = STEP_RETRY;
	switch (response->failure) {
	case HTTP_TOO_LARGE: {
		bool body = !strcmp(response->detail, "body");
		format_size(size, sizeof size, body ? step->config->max_body : 64u << 10);
		return step_http_say(call, STEP_DEAD, "too large: %s over %s", response->detail, size);
	}
	case HTTP_CERTIFICATE:
	case HTTP_NOT_ALLOWED:
	case HTTP_BAD_URL:
		verdict = STEP_DEAD;
		break;
	case HTTP_PROTOCOL:
		verdict = call->attempt < DOUBTFUL_ATTEMPTS ? STEP_RETRY : STEP_DEAD;
		break;
	default:
		break;
	}
	return step_http_say(call, verdict, "%s: %s", http_failure_name(response->failure), response->detail);
}

/* ---- statuses ---- */

bool step_http_is_good(const struct step_http_config *config, int status)
{
	for (size_t i = 0; i < config->ok.n; i++)
		if (config->ok.values[i] == status)
			return true;
	return config->ok.n == 0 && status >= 200 && status <= 299;
}

bool step_http_is_throttled(const struct http_response *response)
{
	const struct weir_told *told = &response->told;
	bool used_up = told->counts && !told->left;
	return response->status == 429 || (response->status == 503 && told->retry_after > 0) ||
	       (response->status == 403 && (told->retry_after > 0 || used_up));
}

static enum step_verdict judge_status(struct step_call *call, int status)
{
	bool passing = status == 408 || status == 425 || (status >= 500 && status != 501 && status != 505);
	bool redirect = status >= 300 && status <= 399 && status != 304;
	return step_http_say(call, passing ? STEP_RETRY : STEP_DEAD, "status: %d%s", status,
			     redirect ? " (redirects are not followed)" : "");
}

/* ---- bodies ---- */

/* The beginning of a body as one line of ASCII. */
static enum step_verdict not_json(struct step_call *call, enum step_verdict verdict, const char *body, size_t n)
{
	char excerpt[EXCERPT_BYTES + 8];
	size_t used = 0;
	for (size_t i = 0; i < n && used < EXCERPT_BYTES; i++) {
		unsigned char c = (unsigned char)body[i];
		if (c >= ' ' && c < 0x7f)
			excerpt[used++] = (char)c;
		else if (c == '\n' || c == '\r' || c == '\t')
			excerpt[used++] = ' ';
		else
			used += (size_t)snprintf(excerpt + used, 5, "\\x%02x", c);
	}
	excerpt[used] = '\0';
	return step_http_say(call, verdict, "not json: %s", excerpt);
}

/* Takes the body over. */
static enum step_verdict add_output(struct step_call *call, struct value *value)
{
	if (!value->data || value_list_take(call->outputs, value) < 0)
		return step_http_say(call, STEP_RETRY, "memory: %s", weir_strerror(WEIR_ENOMEM));
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

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
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

static enum step_verdict take_json(const struct step *step, struct step_call *call, struct http_response *response)
{
	struct value value = {.data = response->body, .len = response->body_bytes};
	if (value.len == 0)
		return step_http_say(call, STEP_DEAD, "empty body");
	size_t mark = value.len >= 3 && !memcmp(value.data, "\xef\xbb\xbf", 3) ? 3 : 0;
	struct json *json = NULL;
	int error = json_parse(value.data + mark, value.len - mark, &json, NULL);
	json_free(json);
	if (error == WEIR_ENOMEM)
		return step_http_say(call, STEP_RETRY, "memory: %s", weir_strerror(error));
	if (error < 0) {
		bool doubtful = !response->length_known && call->attempt < DOUBTFUL_ATTEMPTS;
		return not_json(call, doubtful ? STEP_RETRY : STEP_DEAD, value.data, value.len);
	}
	if (step->record)
		return STEP_OK;
	response->body = NULL;
	response->body_bytes = 0;
	fold_json(&value);
	return add_output(call, &value);
}

static enum step_verdict take_text(struct step_call *call, const struct http_response *response)
{
	struct buf out = {0};
	const char *body = response->body ? response->body : "";
	if (!json_utf8_valid(body, response->body_bytes))
		return step_http_say(call, STEP_DEAD, "not text: the body is no valid UTF-8");
	buf_add_json_str(&out, body, response->body_bytes);
	return add_buf(call, &out);
}

static enum step_verdict take_bytes(struct step_call *call, const struct http_response *response)
{
	struct buf out = {0};
	buf_add_str(&out, "{\"base64\":\"");
	step_http_add_base64(&out, response->body, response->body_bytes);
	buf_add_str(&out, "\"}");
	return add_buf(call, &out);
}

enum step_verdict step_http_judge(const struct step *step, struct step_call *call, struct exchange *x)
{
	struct http_response *response = &x->response;
	call->took = response->took;
	call->tries = response->sent;
	call->told = response->told;
	if (response->failure != HTTP_ANSWERED)
		return judge_failure(step, call, response);
	const int status = response->status;
	bool good = step_http_is_good(step->config, status);
	if (!good && step_http_is_throttled(response)) {
		call->throttled = true;
		return step_http_say(call, STEP_REFUSED, "status: %d", status);
	}
	if (!good)
		return judge_status(call, status);
	if (step->config->expect == STEP_HTTP_JSON)
		return take_json(step, call, response);
	if (step->record)
		return STEP_OK;
	return step->config->expect == STEP_HTTP_TEXT ? take_text(call, response) : take_bytes(call, response);
}

/* ---- the record of `weir get` ---- */

enum step_verdict step_http_record(struct step_call *call, const struct exchange *x, enum step_verdict verdict)
{
	const struct http_response *response = &x->response;
	const bool answered = response->failure == HTTP_ANSWERED && response->status;
	const char *body = response->body ? response->body : "";
	const bool text = answered && json_utf8_valid(body, response->body_bytes);
	const long long tenths = (long long)((call->took + 50 * WEIR_USEC) / (100 * WEIR_USEC));
	struct buf out = {0};
	buf_add_str(&out, "{\"url\":");
	buf_add_json_str(&out, x->url.data ? x->url.data : "", x->url.len);
	if (response->status)
		buf_addf(&out, ",\"status\":%d", response->status);
	else
		buf_add_str(&out, ",\"status\":null");
	buf_addf(&out, ",\"ok\":%s,\"latency_ms\":%lld.%lld,\"bytes\":%zu,\"attempts\":%u,\"error\":",
		 verdict == STEP_OK ? "true" : "false", tenths / 10, tenths % 10, response->body_bytes, call->attempt);
	if (verdict == STEP_OK)
		buf_add_str(&out, "null");
	else
		buf_add_json_str(&out, call->why, strlen(call->why));
	buf_add_str(&out, ",\"body\":");
	if (text)
		buf_add_json_str(&out, body, response->body_bytes);
	else
		buf_add_str(&out, "null");
	if (answered && !text) {
		buf_add_str(&out, ",\"body_base64\":\"");
		step_http_add_base64(&out, body, response->body_bytes);
		buf_add_char(&out, '"');
	}
	buf_add_char(&out, '}');
	enum step_verdict added = add_buf(call, &out);
	return added == STEP_OK ? verdict : added;
}

void step_http_add_base64(struct buf *out, const void *bytes, size_t n)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const unsigned char *in = bytes;
	char *to = buf_reserve(out, (n + 2) / 3 * 4 + 1);
	if (!to)
		return;
	for (size_t i = 0; i < n; i += 3, out->len += 4, to += 4) {
		unsigned word = (unsigned)in[i] << 16 | (i + 1 < n ? (unsigned)in[i + 1] << 8 : 0) |
				(i + 2 < n ? in[i + 2] : 0u);
		to[0] = digits[word >> 18];
		to[1] = digits[word >> 12 & 63];
		to[2] = i + 1 < n ? digits[word >> 6 & 63] : '=';
		to[3] = i + 2 < n ? digits[word & 63] : '=';
	}
	*to = '\0';
}
