/* SPDX-License-Identifier: MIT */
/*
 * Making a request: what is the same for every item, the constant headers, is made once, when the step is opened; an
 * item fills the rest.  A redirect (x->hop) changes where it goes and what goes along, and a job that is asked for
 * (poll.c) has its own URL.
 */
#include "http/exchange.h"

#include "codec/codec.h"
#include "data/json_writer.h"
#include "http/encoding.h"
#include "http/idn.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

/* ---- headers of every request ---- */

static int add_line(struct http_step *step, const struct buf *line)
{
	if (line->failed || !(step->lines[step->line_count] = strdup(line->data)))
		return WEIR_ENOMEM;
	step->line_count++;
	return 0;
}

/* "Name: value"; libcurl wants "Name;" for an empty value. */
static int write_header(const struct key_header *header, const struct template_input *input, struct buf *out,
			struct weir_error *err)
{
	size_t start = out->len;
	buf_addf(out, "%s: ", header->name);
	int error = template_render(header->value, input, out, err);
	if (error == 0 && !out->failed && out->len == start + strlen(header->name) + 2) {
		out->len -= 2;
		buf_add_char(out, ';');
	}
	return error < 0 ? error : out->failed ? WEIR_ENOMEM : 0;
}

int step_http_make_headers(struct http_step *step, struct weir_error *err)
{
	const struct step_http_config *config = step->config;
	struct buf line = {0};
	int error = (step->lines = calloc(config->headers.n + 5, sizeof(char *))) ? 0 : WEIR_ENOMEM;
	for (size_t i = 0; i < config->headers.n && error == 0; i++) {
		if (!template_is_constant(config->headers.headers[i].value) ||
		    step_http_leaves_out(&config->headers.headers[i]))
			continue;
		buf_clear(&line);
		error = write_header(&config->headers.headers[i], &(struct template_input){0}, &line, err);
		if (error == 0)
			error = add_line(step, &line);
	}
	if (error == 0 && (config->basic || (config->bearer && !config->bearer_file))) {
		buf_clear(&line);
		buf_add_str(&line, config->basic ? "Authorization: Basic " : "Authorization: Bearer ");
		if (config->basic)
			buf_add_base64(&line, config->basic, strlen(config->basic));
		else
			buf_add_str(&line, config->bearer);
		error = add_line(step, &line);
	}
	if (error == 0 && step_http_has_body(config) && !config->multipart.n && !step_http_content_type(config)) {
		buf_clear(&line);
		buf_addf(&line, "Content-Type: %s",
			 step_http_has_form(config) ? "application/x-www-form-urlencoded" : "application/json");
		error = add_line(step, &line);
	}
	if (error == 0 && config->compress_body && step_http_has_body(config)) {
		buf_clear(&line);
		buf_addf(&line, "Content-Encoding: %s", codec_name((enum codec)config->compress_body));
		error = add_line(step, &line);
	}
	if (error == 0 && config->compress == STEP_HTTP_COMPRESSED && !step_http_header(config, "accept-encoding")) {
		buf_clear(&line);
		buf_add_str(&line, "Accept-Encoding: " HTTP_ENCODINGS);
		error = add_line(step, &line);
	}
	if (error == 0 && config->tls.server_name && !step_http_header(config, "host")) {
		bool v6 = strchr(step->origin.host, ':');
		buf_clear(&line);
		buf_addf(&line, v6 ? "Host: [%s]" : "Host: %s", step->origin.host);
		if (step->origin.port != 443)
			buf_addf(&line, ":%u", (unsigned)step->origin.port);
		error = add_line(step, &line);
	}
	if (line.data)
		explicit_bzero(line.data, line.room);
	buf_fini(&line);
	return error;
}

/* ---- the URL ---- */

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

/* As curl and wget take a line of a list of URLs: blanks around it are no part of it, http:// may be left out, and of a
 * comment nothing is left. */
static int tidy(struct buf *url)
{
	static const char blanks[] = " \t\r";
	const char *line = url->data ? url->data : "", *end = line + url->len;
	struct buf tidied = {0};
	while (line < end && strchr(blanks, *line))
		line++;
	while (line < end && strchr(blanks, end[-1]))
		end--;
	size_t n = strcspn(line, "/?#");
	bool has_scheme = n && line[n - 1] == ':' && !strncmp(line + n, "//", 2);
	if (line < end && *line != '#') {
		buf_add_str(&tidied, has_scheme ? "" : "http://");
		buf_add(&tidied, line, (size_t)(end - line));
	}
	buf_fini(url);
	*url = tidied;
	return tidied.failed ? WEIR_ENOMEM : 0;
}

static int render_url(const struct http_step *step, const struct template_input *input, struct buf *url,
		      struct weir_error *err)
{
	int error = template_render(step->config->url, input, url, err);
	if (error == 0 && step->is_list)
		error = tidy(url);
	if (error == 0)
		error = http_idn_encode(url);
	return error ? error : encode_beyond_ascii(url);
}

/* NULL, or what is wrong with the URL of this item. */
static const char *find_origin(const struct buf *url, struct http_origin *ret_origin)
{
	const char *wrong = url->data ? http_origin_parse(url->data, ret_origin) : "is empty";
	return !wrong && strlen(url->data) != url->len ? "contains white space or control characters" : wrong;
}

/* What fills the templates of a call.  *ret_meta is to be freed. */
static int find_input(const struct http_step *step, const struct step_call *call, struct template_input *ret_input,
		      struct json **ret_meta, struct weir_error *err)
{
	struct buf text = {0};
	int error = step->needs_item ? value_json(call->input, &ret_input->item, err) : 0;
	if (error || !step->needs_meta)
		return error;
	step_put_meta(call, &text);
	error = text.failed ? WEIR_ENOMEM : json_parse(text.data, text.len, ret_meta, err);
	buf_fini(&text);
	ret_input->meta = *ret_meta;
	return error;
}

bool step_http_find_origin(const struct http_step *step, const struct step_call *call, struct http_origin *ret_origin)
{
	struct template_input input = {0};
	struct json *meta = NULL;
	struct buf url = {0};
	const char *job = step_http_job(call);
	if (job && !http_origin_parse(job, ret_origin))
		return true;
	bool found = find_input(step, call, &input, &meta, NULL) == 0 && render_url(step, &input, &url, NULL) == 0 &&
		     !find_origin(&url, ret_origin);
	json_free(meta);
	buf_fini(&url);
	return found;
}

/* ---- the rest ---- */

/* The same in each attempt, so that a server that knows it does nothing twice. */
static int write_key(const struct http_step *step, const struct step_call *call, struct exchange *x)
{
	struct buf line = {0};
	buf_add_str(&line, STEP_HTTP_KEY ": ");
	step_put_key(call, &line);
	if (step->key_number)
		buf_addf(&line, "-%zu", step->key_number);
	char *text = buf_take(&line, NULL);
	if (!text)
		return WEIR_ENOMEM;
	x->lines[x->line_count++] = text;
	x->key = text + strlen(STEP_HTTP_KEY ": ");
	return 0;
}

static int write_parent(const struct step_call *call, struct exchange *x)
{
	char line[sizeof "traceparent: " - 1 + TRACE_PARENT_BYTES] = "traceparent: ";
	x->span = trace_put_parent(&call->tracing, line + strlen(line));
	char *kept = strdup(line);
	if (!kept)
		return WEIR_ENOMEM;
	x->lines[x->line_count++] = kept;
	return 0;
}

static bool sends_parent(const struct http_step *step, const struct step_call *call)
{
	return step->sends_parent && call->tracing.tracer;
}

static int write_varying_headers(const struct http_step *step, const struct step_call *call, struct exchange *x,
				 const struct template_input *input, struct weir_error *err)
{
	const struct key_headers *headers = &step->config->headers;
	x->lines = calloc(step->varying_headers + 3, sizeof(char *)); /* the key, the type of parts, the trace */
	if (!x->lines || (step->sends_key && !x->is_of_job && write_key(step, call, x)) ||
	    (sends_parent(step, call) && write_parent(call, x)))
		return WEIR_ENOMEM;
	for (size_t i = 0; i < headers->n; i++) {
		if (template_is_constant(headers->headers[i].value))
			continue;
		struct buf line = {0};
		int error = write_header(&headers->headers[i], input, &line, err);
		if (error == 0)
			error = (x->lines[x->line_count] = buf_take(&line, NULL)) ? 0 : WEIR_ENOMEM;
		x->line_count += error == 0;
		buf_fini(&line);
		if (error < 0)
			return error;
	}
	return 0;
}

/* Whether the body of this request is JSON, the headers being written. */
static bool body_is_json(const struct http_step *step, const struct exchange *x)
{
	const struct key_header *type = step_http_content_type(step->config);
	if (!type || step_http_json(step->config))
		return true;
	if (template_is_constant(type->value))
		return step_http_is_json(template_text(type->value));
	for (size_t i = 0; i < x->line_count; i++)
		if (x->lines[i] && !strncasecmp(x->lines[i], "content-type:", 13))
			return step_http_is_json(x->lines[i] + 13);
	return false;
}

/* job: where to ask for it, with the request's headers; NULL: none has begun. */
static int render(const struct http_step *step, const struct step_call *call, struct exchange *x,
		  const struct template_input *input, const char *job, struct weir_error *err)
{
	int error = job ? buf_add_str(&x->url, job) : render_url(step, input, &x->url, err);
	if (error == 0 &&
	    (step->varying_headers || step->sends_key || step->config->multipart.n || sends_parent(step, call)))
		error = write_varying_headers(step, call, x, input, err);
	const struct template *body = step_http_body(step->config);
	if (error == 0 && body && !job)
		error = body_is_json(step, x) ? template_render_json(body, input, &x->body, err)
					      : template_render(body, input, &x->body, err);
	if (error == 0 && (x->url.failed || x->body.failed))
		error = WEIR_ENOMEM;
	return error;
}

bool step_http_is_nothing(const struct http_step *step, const struct exchange *x)
{
	return step->is_list && !x->url.len;
}

/* All that the item fills. */
static enum step_verdict fill(struct http_step *step, struct step_call *call, struct exchange *x)
{
	struct weir_error err = {0};
	struct json *meta = NULL;
	struct template_input input = {0};
	const char *job = step_http_job(call);
	int error = find_input(step, call, &input, &meta, &err);
	if (error == 0)
		error = render(step, call, x, &input, job, &err);
	enum step_verdict verdict = error == 0 ? step_http_save_open(step, call, &input, x) : STEP_OK;
	if (verdict == STEP_OK && error == 0 && !job)
		verdict = step_http_parts_make(step, call, &input, x);
	json_free(meta);
	if (verdict != STEP_OK)
		return verdict;
	if (error == 0 && step->config->into &&
	    (error = json_write_around(input.item, step->config->into, &x->around, &x->place)) == WEIR_EDATA)
		return step_say(call, STEP_DEAD, "into: the item has no object for %.80s", step->config->into);
	if (error == WEIR_ENOMEM)
		return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(error));
	if (error < 0)
		return step_say(call, STEP_DEAD, "template: %.200s", err.text);
	const char *wrong = step_http_is_nothing(step, x) ? NULL : find_origin(&x->url, &x->origin);
	if (wrong)
		return step_say(call, STEP_DEAD, "url: %s", wrong);
	if (!step_http_may_see_auth(step->config, x->origin.host))
		return step_say(call, STEP_DEAD, "auth: %.120s is not in auth.hosts, so it gets no credentials",
				x->origin.host);
	verdict = step->body && !job ? step_http_body_make(step, call, x) : STEP_OK;
	if (verdict == STEP_OK && step_http_has_form(step->config) && !job)
		verdict = step_http_form_encode(call, x);
	return verdict;
}

static enum step_verdict pack(const struct http_step *step, struct step_call *call, struct exchange *x)
{
	const struct step_http_config *config = step->config;
	if (!config->compress_body || !step_http_has_body(config) ||
	    codec_pack((enum codec)config->compress_body, x->body.data ? x->body.data : "", x->body.len, &x->packed) ==
		    0)
		return STEP_OK;
	return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(WEIR_ENOMEM));
}

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"};

static void make_request(const struct http_step *step, struct exchange *x)
{
	const struct http_hop *hop = x->hop;
	const struct buf *body = step->config->compress_body ? &x->packed : &x->body;
	bool is_emptied = x->is_of_job || (hop && hop->is_emptied);
	bool has_body = step_http_has_body(step->config) && !is_emptied, has_text = has_body && !x->parts;
	x->request = (struct http_request){
		.method = is_emptied ? "GET" : methods[step->config->method],
		.url = hop ? hop->url : x->url.data,
		.origin = hop ? &hop->origin : &x->origin,
		.headers = (const char *const *)x->lines,
		.header_count = x->line_count,
		.body = has_text ? (body->data ? body->data : "") : NULL,
		.body_bytes = has_text ? body->len : 0,
		.source = has_body && x->parts ? http_multipart_source(x->parts) : NULL,
		.sink = x->saving.file ? &x->saving.sink : NULL,
		.is_foreign = hop && hop->is_foreign,
		.is_emptied = is_emptied,
		.is_fresh = hop && hop->is_fresh,
	};
}

enum step_verdict step_http_prepare(struct http_step *step, struct step_call *call, struct exchange *x)
{
	x->is_of_job = step_http_job(call);
	enum step_verdict verdict = fill(step, call, x);
	if (verdict == STEP_OK)
		verdict = pack(step, call, x);
	make_request(step, x);
	return verdict;
}
