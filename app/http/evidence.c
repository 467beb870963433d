/* SPDX-License-Identifier: MIT */
/* What goes with a dead letter of the step http, or is looked at (step_call.explain): what was asked, and what came
 * back. */
#include "http/exchange.h"

#include <stdlib.h>
#include <string.h>

#include "data/json_writer.h"
#include "data/secret.h"
#include "http/telling.h"

enum { HEADER_NAME_MAX = 64 };

/* The name in small letters, ended by a NUL: its length, or 0 if there is none. */
static size_t copy_name(const char *line, char name[HEADER_NAME_MAX])
{
	size_t n = 0;
	for (; line[n] && line[n] != ':' && line[n] != '\n' && n + 1 < HEADER_NAME_MAX; n++)
		name[n] = line[n] >= 'A' && line[n] <= 'Z' ? (char)(line[n] | 0x20) : line[n];
	name[n] = 0;
	return line[n] == ':' ? n : 0;
}

/* Of several headers of one name the first counts. */
static bool came_before(const char *headers, const char *line, const char *name)
{
	char other[HEADER_NAME_MAX];
	for (const char *at = headers; at < line; at = strchr(at, '\n') + 1)
		if (copy_name(at, other) && strcmp(other, name) == 0)
			return true;
	return false;
}

/* all: those that explain nothing, too; then of several the last counts. */
static void add_headers(struct buf *out, const char *headers, bool all)
{
	char name[HEADER_NAME_MAX];
	json_open(out, "headers", '{');
	for (const char *line = headers, *end; *line; line = end + 1) {
		end = strchr(line, '\n');
		size_t n = copy_name(line, name);
		if (!n || (!all && (!http_header_is_telling(line, n + 1) || came_before(headers, line, name))))
			continue;
		const char *value = line + n + 1;
		value += strspn(value, " \t");
		struct buf text = {0};
		buf_add(&text, value, value < end ? (size_t)(end - value) : 0);
		json_put_bytes(out, name, text.data ? text.data : "", secret_hide(text.data, text.len));
		buf_fini(&text);
	}
	json_close(out, '}');
}

static void add_answer(struct buf *out, const struct http_response *response)
{
	if (response->status)
		json_put_int(out, "status", response->status);
	if (response->headers)
		add_headers(out, response->headers, false);
	if (!response->body || !response->body_bytes || response->is_handed_on)
		return;
	evidence_add_error(out, response->body, response->body_bytes);
	evidence_add_text(out, "answer", response->body, response->body_bytes);
}

void step_http_put_headers(struct buf *out, const struct http_response *response)
{
	add_headers(out, response->headers ? response->headers : "", true);
}

char *step_http_meta(const struct exchange *x)
{
	const struct http_response *response = &x->response;
	struct buf out = {0};
	json_put_int(&out, "status", response->status);
	json_put_bytes(&out, "url", x->url.data, x->url.len);
	if (step_http_final_url(x))
		json_put_text(&out, "final_url", step_http_final_url(x));
	json_put_real(&out, "latency_ms", (double)response->took / (double)WEIR_MSEC, 1);
	step_http_put_headers(&out, response);
	return buf_take(&out, NULL);
}

static void add_lines(struct buf *out, const struct http_request *request, char *const *lines, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		if (!http_header_may_go(lines[i], request->is_foreign, request->is_emptied))
			continue;
		size_t name = strcspn(lines[i], ":;");
		char *key = strndup(lines[i], name);
		const char *value = lines[i] + name + (lines[i][name] != 0);
		struct buf text = {0};
		buf_add_str(&text, value + strspn(value, " "));
		json_put_bytes(out, key ? key : "", text.data, secret_hide(text.data, text.len));
		buf_fini(&text);
		free(key);
	}
}

static void add_sent_headers(const struct http_step *step, const struct exchange *x, struct buf *out)
{
	json_open(out, "sent_headers", '{');
	add_lines(out, &x->request, x->lines, x->line_count);
	add_lines(out, &x->request, step->lines, step->line_count);
	json_close(out, '}');
}

/* A dead letter has it if it sends all of the request, and is not too long to be kept. */
static void add_curl(const struct http_step *step, const struct exchange *x, bool always, struct buf *out)
{
	struct buf curl = {0};
	if (!always && x->body.len > EVIDENCE_TEXT_BYTES)
		return;
	step_http_add_curl(step, x, &curl);
	if (always || curl.len <= EVIDENCE_TEXT_BYTES)
		json_put_bytes(out, "curl", curl.data, curl.len);
	out->failed = out->failed || curl.failed;
	buf_fini(&curl);
}

void step_http_explain(const struct http_step *step, const struct step_call *call, const struct exchange *x)
{
	struct buf *out = call->evidence;
	json_put_text(out, "method", x->request.method);
	if (x->url.len)
		evidence_add_text(out, "url", x->url.data, x->url.len);
	if (step_http_final_url(x))
		evidence_add_text(out, "final_url", x->hop->url, strlen(x->hop->url));
	if (!x->url.len) /* it could not be made of this */
		evidence_add_text(out, "input", call->input->data, call->input->len);
	if (x->key && !x->request.is_emptied)
		evidence_add_text(out, "key", x->key, strlen(x->key));
	add_answer(out, &x->response);
	const struct buf *sent = x->parts ? http_multipart_text(x->parts) : &x->body;
	if (sent->len && !x->request.is_emptied)
		evidence_add_text(out, "sent", sent->data, sent->len);
	if (call->explain)
		add_sent_headers(step, x, out);
	if (x->url.len)
		add_curl(step, x, call->explain, out);
}
