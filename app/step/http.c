/* SPDX-License-Identifier: MIT */
/*
 * The step `http`: one request per item; the body of the answer takes the item's place.
 *
 * This file prepares requests: what is the same for every item (constant headers, a constant URL) is made once, when
 * the step is opened.  What an answer means is in http_answer.c.
 *
 * A host that comes from the item and not from the config may not be a private one; "comes from" is decided on the text
 * of the template: if the first hole begins before the authority has ended, it does.
 */
#include "step/http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <weir/run.h>

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"};

#define FIELD(name) offsetof(struct step_http_config, name)

static const struct key auth_keys[] = {
	{.name = "basic",
	 .type = KEY_STRING,
	 .offset = FIELD(basic),
	 .flags = KEY_SECRET,
	 .text = "user:password, sent as HTTP basic authentication"},
	{.name = "bearer",
	 .type = KEY_STRING,
	 .offset = FIELD(bearer),
	 .flags = KEY_SECRET,
	 .text = "a token, sent as Authorization: Bearer"},
	{0},
};

static const struct key http_keys[] = {
	{.name = "url",
	 .type = KEY_URL,
	 .offset = FIELD(url),
	 .flags = KEY_REQUIRED,
	 .text = "where to send the request; a host that comes from the item must have a public address"},
	{.name = "method",
	 .type = KEY_ENUM,
	 .offset = FIELD(method),
	 .fallback = "GET",
	 .choices = "GET|POST|PUT|PATCH|DELETE|HEAD",
	 .text = "the request's method"},
	{.name = "headers", .type = KEY_HEADERS, .offset = FIELD(headers), .text = "headers to send"},
	{.name = "body",
	 .type = KEY_TEMPLATE,
	 .offset = FIELD(body),
	 .text = "what to send; `${.}` is the whole item; it counts as application/json unless a header says "
		 "otherwise"},
	{.name = "auth", .type = KEY_GROUP, .group = auth_keys, .text = "credentials: basic or bearer"},
	{.name = "timeout",
	 .type = KEY_DURATION,
	 .offset = FIELD(timeout),
	 .fallback = "30s",
	 .min = WEIR_MSEC,
	 .max = 24 * 3600 * WEIR_SEC,
	 .text = "for one request, from sending to the last byte of its answer"},
	{.name = "expect",
	 .type = KEY_ENUM,
	 .offset = FIELD(expect),
	 .fallback = "json",
	 .choices = "json|text|bytes",
	 .text = "what a good body is: a JSON value; text, which becomes a JSON string; or bytes, which become "
		 "{\"base64\": ...}"},
	{.name = "ok",
	 .type = KEY_COUNTS,
	 .offset = FIELD(ok),
	 .min = 100,
	 .max = 599,
	 .text = "the statuses that are good answers; every 2xx when absent"},
	{.name = "max_connections",
	 .type = KEY_COUNT,
	 .offset = FIELD(max_connections),
	 .fallback = "0",
	 .min = 0,
	 .max = 100000,
	 .text = "most connections to one host; 0 is as many as there are items in the steps"},
	{.name = "label",
	 .type = KEY_STRING,
	 .offset = FIELD(label),
	 .text = "a name for what answers, of letters, digits, _ . and -; limits, breaker and what is learnt are then "
		 "kept under it instead of one by one for each host"},
	{.name = "max_body",
	 .type = KEY_SIZE,
	 .offset = FIELD(max_body),
	 .fallback = "10MiB",
	 .min = 1,
	 .max = (int64_t)1 << 30,
	 .text = "longest body that is accepted"},
	{0},
};

/* ---- checking ---- */

/* Whether scheme, host and port stand in the config: whatever an item holds, it cannot lead elsewhere. */
static bool host_is_literal(const char *url)
{
	const char *hole = strstr(url, "${"), *authority = strstr(url, "://");
	if (!hole)
		return true;
	if (!authority || authority > hole)
		return false;
	const char *end = authority + 3;
	end += strcspn(end, "/?#");
	return end < hole;
}

static bool has_control_bytes(const char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < ' ' || *text == 0x7f)
			return true;
	return false;
}

static int check_auth(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	*ret_key = "auth";
	if (config->basic && config->bearer)
		return weir_error_set(err, WEIR_EINVAL, "auth has both basic and bearer; expected one of them");
	if (config->basic && !strchr(config->basic, ':'))
		return weir_error_set(err, WEIR_EINVAL, "auth.basic has no colon; expected user:password");
	if ((config->basic && has_control_bytes(config->basic)) ||
	    (config->bearer && has_control_bytes(config->bearer)))
		return weir_error_set(err, WEIR_EINVAL, "auth has control bytes in it, such as a newline at its end");
	*ret_key = NULL;
	return 0;
}

static int check_headers(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	static const char *const framing[] = {"content-length", "transfer-encoding", "connection", "expect"};
	*ret_key = "headers";
	for (size_t i = 0; i < config->headers.n; i++) {
		const struct key_header *header = &config->headers.headers[i];
		for (size_t k = 0; k < sizeof framing / sizeof *framing; k++)
			if (!strcasecmp(header->name, framing[k]))
				return weir_error_set(err, WEIR_EINVAL, "header %s is weir's to set; leave it out",
						      header->name);
		if ((config->basic || config->bearer) && !strcasecmp(header->name, "authorization"))
			return weir_error_set(err, WEIR_EINVAL,
					      "header Authorization beside auth; expected one of them");
		if (has_control_bytes(template_text(header->value)))
			return weir_error_set(err, WEIR_EINVAL, "header %s has control bytes in its value",
					      header->name);
	}
	*ret_key = NULL;
	return 0;
}

static int check_label(const struct step_http_config *config, const char **ret_key, struct weir_error *err)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-";
	const char *label = config->label;
	*ret_key = "label";
	if (label && (!label[0] || strlen(label) > 64 || strspn(label, allowed) != strlen(label)))
		return weir_error_set(err, WEIR_EINVAL,
				      "label is \"%.80s\", expected up to 64 letters, digits, _ . and -", label);
	*ret_key = NULL;
	return 0;
}

/* Scheme, host and port, if no item has a part in them. */
static int check_url(const struct step_http_config *config, struct weir_error *err)
{
	const char *text = template_text(config->url), *hole = strstr(text, "${");
	struct http_origin origin;
	if (!host_is_literal(text))
		return 0;
	char *literal = strndup(text, hole ? (size_t)(hole - text) : strlen(text));
	const char *wrong = literal ? http_origin_parse(literal, &origin) : NULL;
	free(literal);
	return wrong ? weir_error_set(err, WEIR_EINVAL, "the URL %s", wrong) : 0;
}

static int check_config(const void *arg, const char **ret_key, struct weir_error *err)
{
	const struct step_http_config *config = arg;
	*ret_key = "url";
	if (config->url && check_url(config, err) < 0)
		return WEIR_EINVAL;
	*ret_key = "expect";
	if (config->method == STEP_HTTP_HEAD && config->expect == STEP_HTTP_JSON)
		return weir_error_set(err, WEIR_EINVAL, "an answer to HEAD has no body; expected `expect: text`");
	int error = check_auth(config, ret_key, err);
	if (error == 0)
		error = check_headers(config, ret_key, err);
	return error < 0 ? error : check_label(config, ret_key, err);
}

/* ---- opening ---- */

static int add_line(char **lines, size_t *n, const struct buf *line)
{
	if (line->failed || !(lines[*n] = strdup(line->data)))
		return WEIR_ENOMEM;
	++*n;
	return 0;
}

/* "Name: value"; libcurl wants "Name;" for an empty value. */
static int write_header(const struct key_header *header, const struct json *item, struct buf *out,
			struct weir_error *err)
{
	size_t start = out->len;
	buf_addf(out, "%s: ", header->name);
	int error = template_render(header->value, item, out, err);
	if (error == 0 && !out->failed && out->len == start + strlen(header->name) + 2) {
		out->len -= 2;
		buf_add_char(out, ';');
	}
	return error < 0 ? error : out->failed ? WEIR_ENOMEM : 0;
}

static bool has_header(const struct key_headers *headers, const char *name)
{
	for (size_t i = 0; i < headers->n; i++)
		if (!strcasecmp(headers->headers[i].name, name))
			return true;
	return false;
}

/* The header lines that no item changes. */
static int make_constant_headers(const struct step_http_config *config, char **lines, size_t *n, struct weir_error *err)
{
	struct buf line = {0};
	int error = 0;
	for (size_t i = 0; i < config->headers.n && error == 0; i++) {
		if (!template_is_constant(config->headers.headers[i].value))
			continue;
		buf_clear(&line);
		error = write_header(&config->headers.headers[i], NULL, &line, err);
		if (error == 0)
			error = add_line(lines, n, &line);
	}
	if (error == 0 && (config->basic || config->bearer)) {
		buf_clear(&line);
		buf_add_str(&line, config->basic ? "Authorization: Basic " : "Authorization: Bearer ");
		if (config->basic)
			step_http_add_base64(&line, config->basic, strlen(config->basic));
		else
			buf_add_str(&line, config->bearer);
		error = add_line(lines, n, &line);
	}
	if (error == 0 && config->body && !has_header(&config->headers, "content-type")) {
		buf_clear(&line);
		buf_add_str(&line, "Content-Type: application/json");
		error = add_line(lines, n, &line);
	}
	if (line.data)
		explicit_bzero(line.data, line.room);
	buf_fini(&line);
	return error;
}

static int open_client(struct step *step, const struct step_env *env, struct weir_error *err)
{
	const struct step_http_config *config = step->config;
	char **lines = calloc(config->headers.n + 2, sizeof(char *));
	size_t n = 0;
	int error = lines ? make_constant_headers(config, lines, &n, err) : WEIR_ENOMEM;
	const struct http_client_options opts = {
		.in_flight = env->most > env->concurrency ? env->most : env->concurrency,
		.expected = env->concurrency,
		.per_host = (size_t)config->max_connections,
		.timeout = config->timeout,
		.body_bytes = (size_t)config->max_body,
		.public_only = !env->allow_private && !host_is_literal(template_text(config->url)),
		.headers = (const char *const *)lines,
		.header_count = n,
	};
	if (error == 0)
		error = http_client_new(&opts, &step->client);
	for (size_t i = 0; i < n; i++)
		free(lines[i]);
	free(lines);
	return error;
}

static void http_close(struct step *step)
{
	if (!step)
		return;
	http_client_free(step->client);
	free(step);
}

static int http_open(const void *config, const struct step_env *env, struct step **ret_step, struct weir_error *err)
{
	struct step *step = calloc(1, sizeof *step);
	if (!step)
		return weir_error_set(err, WEIR_ENOMEM, "step http: out of memory");
	step->config = config;
	step->record = env->record;
	step->random = (uint64_t)weir_clock();
	step->needs_item = !template_is_constant(step->config->url) ||
			   (step->config->body && !template_is_constant(step->config->body));
	for (size_t i = 0; i < step->config->headers.n; i++)
		step->varying_headers += !template_is_constant(step->config->headers.headers[i].value);
	step->needs_item = step->needs_item || step->varying_headers;
	step->policy = env->policy;
	int error = open_client(step, env, err);
	if (error < 0) {
		http_close(step);
		return weir_error_set(err, error, "step http: %s", weir_strerror(error));
	}
	*ret_step = step;
	return 0;
}

/* ---- one item ---- */

/* Bytes beyond ASCII, which a URL in a list of URLs may have, as a browser sends them. */
static int encode_beyond_ascii(struct buf *url)
{
	struct buf encoded = {0};
	size_t i = 0;
	while (i < url->len && (unsigned char)url->data[i] < 0x80)
		i++;
	if (i == url->len)
		return 0;
	for (i = 0; i < url->len; i++) {
		unsigned char c = (unsigned char)url->data[i];
		if (c < 0x80)
			buf_add_char(&encoded, (char)c);
		else
			buf_addf(&encoded, "%%%02X", c);
	}
	if (encoded.failed) {
		buf_fini(&encoded);
		return WEIR_ENOMEM;
	}
	buf_fini(url);
	*url = encoded;
	return 0;
}

static int write_varying_headers(const struct step *step, struct exchange *x, const struct json *item,
				 struct weir_error *err)
{
	const struct key_headers *headers = &step->config->headers;
	x->lines = calloc(step->varying_headers, sizeof(char *));
	if (!x->lines)
		return WEIR_ENOMEM;
	for (size_t i = 0; i < headers->n; i++) {
		if (template_is_constant(headers->headers[i].value))
			continue;
		struct buf line = {0};
		int error = write_header(&headers->headers[i], item, &line, err);
		if (error == 0)
			error = (x->lines[x->line_count] = buf_take(&line, NULL)) ? 0 : WEIR_ENOMEM;
		x->line_count += error == 0;
		buf_fini(&line);
		if (error < 0)
			return error;
	}
	return 0;
}

static int render(const struct step *step, struct exchange *x, const struct json *item, struct weir_error *err)
{
	int error = template_render(step->config->url, item, &x->url, err);
	if (error == 0)
		error = encode_beyond_ascii(&x->url);
	if (error == 0 && step->varying_headers)
		error = write_varying_headers(step, x, item, err);
	if (error == 0 && step->config->body)
		error = template_render(step->config->body, item, &x->body, err);
	if (error == 0 && (x->url.failed || x->body.failed))
		error = WEIR_ENOMEM;
	return error;
}

/* STEP_OK, or STEP_DEAD with the reason. */
static enum step_verdict prepare(const struct step *step, struct step_call *call, struct exchange *x)
{
	struct weir_error err = {0};
	struct json *item = NULL;
	int error = step->needs_item ? json_parse(call->input->data, call->input->len, &item, &err) : 0;
	if (error == 0)
		error = render(step, x, item, &err);
	json_free(item);
	if (error == WEIR_ENOMEM)
		return step_http_say(call, STEP_RETRY, "memory: %s", weir_strerror(error));
	if (error < 0)
		return step_http_say(call, STEP_DEAD, "template: %.200s", err.text);
	const char *wrong = x->url.data ? http_origin_parse(x->url.data, &x->origin) : "is empty";
	if (!wrong && strlen(x->url.data) != x->url.len)
		wrong = "has white space or control bytes";
	return wrong ? step_http_say(call, STEP_DEAD, "url: %s", wrong) : STEP_OK;
}

static enum step_verdict exchange(struct step *step, struct step_call *call, struct exchange *x)
{
	enum step_verdict verdict = prepare(step, call, x);
	if (verdict != STEP_OK)
		return verdict;
	verdict = step_http_enter(step, call, x);
	if (verdict != STEP_OK)
		return verdict;
	const struct http_request request = {
		.method = methods[step->config->method],
		.url = x->url.data,
		.origin = &x->origin,
		.headers = (const char *const *)x->lines,
		.header_count = x->line_count,
		.body = step->config->body ? (x->body.data ? x->body.data : "") : NULL,
		.body_bytes = x->body.len,
	};
	int error = http_client_fetch(step->client, &request, &x->response, WEIR_FOREVER);
	step_http_leave(step, x, error);
	if (error == WEIR_ECANCELED)
		return STEP_CANCELED;
	if (error == WEIR_ETIMEDOUT)
		return step_http_say(call, STEP_RETRY, "timeout: the attempt took too long");
	if (error < 0)
		return step_http_say(call, STEP_RETRY, "memory: %s", weir_strerror(error));
	return step_http_excuse(step, call, x, step_http_judge(step, call, x));
}

static enum step_verdict http_run(struct step *step, struct step_call *call)
{
	struct exchange x = {0};
	enum step_verdict verdict = exchange(step, call, &x);
	bool last = verdict == STEP_OK || verdict == STEP_DEAD || (verdict == STEP_RETRY && call->last_attempt);
	if (step->record && last)
		verdict = step_http_record(call, &x, verdict);
	for (size_t i = 0; i < x.line_count; i++)
		free(x.lines[i]);
	free(x.lines);
	if (x.gate)
		weir_policy_put(step->policy, x.gate);
	buf_fini(&x.url);
	buf_fini(&x.body);
	http_response_fini(&x.response);
	return verdict;
}

static void http_figures(const struct step *step, struct buf *json)
{
	struct http_figures figures;
	http_client_figures(step->client, &figures);
	buf_addf(json, "\"http_connections\":%zu,\"http_in_flight\":%zu,\"http_waiting\":%zu", figures.connections,
		 figures.in_flight, figures.waiting);
}

static const struct step_ops http_ops = {
	.open = http_open,
	.run = http_run,
	.figures = http_figures,
	.close = http_close,
	.descriptors = 1,
	.gated = true,
};

const struct adapter step_http_adapter = {
	.kind = ADAPTER_STEP,
	.name = "http",
	.text = "sends an HTTP request for each item and takes the answer's body in its place",
	.keys = http_keys,
	.config_bytes = sizeof(struct step_http_config),
	.shorthand = "url",
	.check = check_config,
	.step = &http_ops,
};
