/* SPDX-License-Identifier: MIT */
/*
 * The step `http`: one request per item; the body of the answer takes the item's place.
 *
 * This file prepares requests: what is the same for every item (constant headers, a constant URL) is made once, when
 * the step is opened.  Its keys are in config.c; what an answer means is in answer.c.
 */
#include "http/exchange.h"

#include "codec/codec.h"
#include "data/json_writer.h"
#include "http/connection.h"
#include "http/encoding.h"
#include "http/idn.h"
#include "http/proxy.h"
#include "jq/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <weir/run.h>

static const char *const methods[] = {"GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"};

/* ---- opening ---- */

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

/* The header lines that no item changes. */
static int make_constant_headers(struct http_step *step, struct weir_error *err)
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
	if (error == 0 && step_http_has_body(config) && !step_http_content_type(config)) {
		buf_clear(&line);
		buf_add_str(&line, "Content-Type: application/json");
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

static int open_client(struct http_step *step, const struct step_env *env, struct weir_error *err)
{
	const struct step_http_config *config = step->config;
	struct http_tls tls = {0};
	int error = step_http_find_tls(config, env, &tls, err);
	if (error == 0)
		error = step_http_find_proxies(config, env, &step->proxies, err);
	if (error == 0)
		error = make_constant_headers(step, err);
	const struct http_client_options opts = {
		.in_flight = env->most > env->concurrency ? env->most : env->concurrency,
		.expected = env->concurrency,
		.per_host = (size_t)config->max_connections,
		.timeout = config->timeout,
		.connect_timeout = config->timeout_connect,
		.silence_timeout = config->timeout_first_byte,
		.http2 = config->http == STEP_HTTP_2,
		.tls = tls,
		.proxies = step->proxies,
		.body_bytes = (size_t)config->max_body,
		.all_headers = env->meta || config->when.n || config->poll_every,
		.public_only = !env->allow_private && !step->origin.name[0],
		.public_foreign = !env->allow_private,
		.headers = (const char *const *)step->lines,
		.header_count = step->line_count,
	};
	if (error == 0)
		error = http_credentials_new(config, &opts, &step->credentials, err);
	if (error == 0)
		error = http_client_new(&opts, &step->client);
	return error;
}

static void http_close(struct step *handle)
{
	struct http_step *step = (struct http_step *)handle;
	if (!step)
		return;
	jq_client_free(step->body);
	step_http_rules_close(step->rules);
	http_credentials_free(step->credentials);
	step_http_poll_close(step->poll);
	http_client_free(step->client);
	http_proxies_free(step->proxies);
	for (size_t i = 0; i < step->line_count; i++)
		free(step->lines[i]);
	free(step->lines);
	free(step);
}

static bool http_reads_meta(const void *arg)
{
	const struct step_http_config *config = arg;
	const struct template *body = step_http_body(config);
	bool reads = template_has_meta(config->url) || (body && template_has_meta(body)) ||
		     (config->json.program && jq_reads_meta(config->json.program)) || step_http_rules_read_meta(config);
	for (size_t i = 0; i < config->headers.n; i++)
		reads = reads || template_has_meta(config->headers.headers[i].value);
	return reads;
}

static bool http_forgets(const void *config)
{
	return !((const struct step_http_config *)config)->memo;
}

static void find_needs(struct http_step *step)
{
	const struct step_http_config *config = step->config;
	const struct template *body = step_http_body(config);
	for (size_t i = 0; i < config->headers.n; i++)
		step->varying_headers += !template_is_constant(config->headers.headers[i].value);
	step->needs_meta = http_reads_meta(config);
	step->needs_item = !template_is_constant(config->url) || (body && !template_is_constant(body)) ||
			   step->varying_headers || config->into;
}

static int http_open(const void *arg, const struct step_env *env, struct step **ret_step, struct weir_error *err)
{
	struct http_step *step = calloc(1, sizeof *step);
	if (!step)
		return weir_error_set(err, WEIR_ENOMEM, "step http: out of memory");
	const struct step_http_config *config = step->config = arg;
	step->tells_meta = env->meta;
	step->is_list = env->url_list;
	step->sends_key = step_http_sends_key(step->config);
	step->key_number = env->key_number;
	find_needs(step);
	step_http_fixed_origin(step->config->url, &step->origin);
	int error = open_client(step, env, err);
	const struct http_rules_options rules = {
		.key = "when", .all = config->when.elements, .n = config->when.n, .exe_path = env->exe_path};
	if (error == 0)
		error = step_http_rules_open(&rules, &step->rules, err);
	if (error == 0)
		error = step_http_poll_open(config, env->exe_path, &step->poll, err);
	if (error == 0)
		error = step_http_body_open(config, env->exe_path, &step->body, err);
	if (error < 0) {
		http_close((struct step *)step);
		return err && err->text[0] ? error : weir_error_set(err, error, "step http: %s", weir_strerror(error));
	}
	*ret_step = (struct step *)step;
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

static int write_varying_headers(const struct http_step *step, const struct step_call *call, struct exchange *x,
				 const struct template_input *input, struct weir_error *err)
{
	const struct key_headers *headers = &step->config->headers;
	x->lines = calloc(step->varying_headers + 1, sizeof(char *));
	if (!x->lines || (step->sends_key && !x->is_of_job && write_key(step, call, x)))
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
	if (!type || step->config->json.template)
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
	if (error == 0 && (step->varying_headers || step->sends_key))
		error = write_varying_headers(step, call, x, input, err);
	const struct template *body = step_http_body(step->config);
	if (error == 0 && body && !job)
		error = body_is_json(step, x) ? template_render_json(body, input, &x->body, err)
					      : template_render(body, input, &x->body, err);
	if (error == 0 && (x->url.failed || x->body.failed))
		error = WEIR_ENOMEM;
	return error;
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

static const char *http_upstream(const struct step *handle, const struct step_call *call,
				 char room[STEP_UPSTREAM_BYTES])
{
	const struct http_step *step = (const struct http_step *)handle;
	struct buf url = {0};
	struct json *meta = NULL;
	struct template_input input = {0};
	struct http_origin origin = {0};
	const struct http_hop *hop = call->leg ? *call->leg : NULL;
	const char *job = step_http_job(call);
	if (hop && !step->config->label)
		return hop->origin.name;
	if (step->config->label || (step->origin.name[0] && !job))
		return step->config->label ? step->config->label : step->origin.name;
	if (job && !http_origin_parse(job, &origin))
		memcpy(room, origin.name, strlen(origin.name) + 1);
	else if (find_input(step, call, &input, &meta, NULL) == 0 && render_url(step, &input, &url, NULL) == 0 &&
		 !find_origin(&url, &origin))
		memcpy(room, origin.name, strlen(origin.name) + 1);
	json_free(meta);
	buf_fini(&url);
	return origin.name[0] ? room : NULL;
}

/* A comment in a list of URLs. */
static bool is_nothing(const struct http_step *step, const struct exchange *x)
{
	return step->is_list && !x->url.len;
}

/* STEP_OK, or what there is instead of a request, with the reason. */
static enum step_verdict prepare(const struct http_step *step, struct step_call *call, struct exchange *x)
{
	struct weir_error err = {0};
	struct json *meta = NULL;
	struct template_input input = {0};
	const char *job = step_http_job(call);
	int error = find_input(step, call, &input, &meta, &err);
	if (error == 0)
		error = render(step, call, x, &input, job, &err);
	json_free(meta);
	if (error == 0 && step->config->into &&
	    (error = json_write_around(input.item, step->config->into, &x->around, &x->place)) == WEIR_EDATA)
		return step_say(call, STEP_DEAD, "into: the item has no object for %.80s", step->config->into);
	if (error == WEIR_ENOMEM)
		return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(error));
	if (error < 0)
		return step_say(call, STEP_DEAD, "template: %.200s", err.text);
	const char *wrong = is_nothing(step, x) ? NULL : find_origin(&x->url, &x->origin);
	if (wrong)
		return step_say(call, STEP_DEAD, "url: %s", wrong);
	enum step_verdict verdict = step->body && !job ? step_http_body_make(step, call, x) : STEP_OK;
	if (verdict == STEP_OK && step->config->compress_body && step_http_has_body(step->config) &&
	    codec_pack((enum codec)step->config->compress_body, x->body.data ? x->body.data : "", x->body.len,
		       &x->packed))
		verdict = step_say(call, STEP_RETRY, "memory: %s", weir_strerror(WEIR_ENOMEM));
	return verdict;
}

static void make_request(const struct http_step *step, struct exchange *x)
{
	const struct http_hop *hop = x->hop;
	const struct buf *body = step->config->compress_body ? &x->packed : &x->body;
	bool is_emptied = x->is_of_job || (hop && hop->is_emptied);
	bool has_body = step_http_has_body(step->config) && !is_emptied;
	x->request = (struct http_request){
		.method = is_emptied ? "GET" : methods[step->config->method],
		.url = hop ? hop->url : x->url.data,
		.origin = hop ? &hop->origin : &x->origin,
		.headers = (const char *const *)x->lines,
		.header_count = x->line_count,
		.body = has_body ? (body->data ? body->data : "") : NULL,
		.body_bytes = has_body ? body->len : 0,
		.is_foreign = hop && hop->is_foreign,
		.is_emptied = is_emptied,
	};
}

static enum step_verdict exchange(struct http_step *step, struct step_call *call, struct exchange *x)
{
	x->is_of_job = step_http_job(call);
	enum step_verdict verdict = prepare(step, call, x);
	make_request(step, x);
	if (verdict != STEP_OK || is_nothing(step, x))
		return verdict;
	if (call->permit->cut)
		return step_http_turned_away(call);
	verdict = step_http_authorize(step, call, x);
	if (verdict != STEP_OK)
		return verdict;
	int error = http_client_fetch(step->client, &x->request, &x->response, WEIR_FOREVER);
	verdict = error == 0 ? step_http_decide(step, call, x) : STEP_OK;
	if (error == 0 && verdict == STEP_OK && step_http_reauthorize(step, call, x, &verdict))
		return verdict;
	step_http_leave(call, x, error);
	if (call->explain) { /* the judge takes the body of a good answer */
		step_http_explain(step, call, x);
		x->explained = true;
	}
	if (error == WEIR_ECANCELED)
		return STEP_CANCELED;
	if (error == WEIR_ETIMEDOUT)
		return step_say(call, STEP_RETRY, "timeout: the attempt took too long (flow.timeout.attempt)");
	if (error < 0)
		return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(error));
	if (verdict == STEP_OK && step_http_is_followed(step, call, x))
		return step_http_follow(step, call, x);
	if (verdict == STEP_OK && x->response.failure == HTTP_ANSWERED && x->verdict.then == STEP_HTTP_OK)
		verdict = step_http_await(step, call, x);
	return step_http_excuse(call, verdict == STEP_OK ? step_http_judge(step, call, x) : verdict);
}

/* Puts the item around the answer. */
static enum step_verdict put_into(struct step_call *call, struct exchange *x)
{
	struct value *answer = &call->outputs->values[call->outputs->n - 1], whole = {0};
	struct buf out = {0};
	buf_add(&out, x->around.data, x->place);
	buf_add(&out, answer->data, answer->len);
	buf_add(&out, x->around.data + x->place, x->around.len - x->place);
	whole.data = buf_take(&out, &whole.len);
	if (!whole.data)
		return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(WEIR_ENOMEM));
	value_fini(answer);
	*answer = whole;
	return STEP_OK;
}

static enum step_verdict put_meta(struct step_call *call, const struct exchange *x)
{
	char *meta = step_http_meta(x);
	call->outputs->values[call->outputs->n - 1].meta = meta;
	return meta ? STEP_OK : step_say(call, STEP_RETRY, "memory: %s", weir_strerror(WEIR_ENOMEM));
}

static enum step_verdict http_run(struct step *handle, struct step_call *call)
{
	struct http_step *step = (struct http_step *)handle;
	struct exchange x = {.hop = call->leg ? *call->leg : NULL};
	if (x.hop)
		*call->leg = NULL;
	enum step_verdict verdict = exchange(step, call, &x);
	bool last = verdict == STEP_OK || verdict == STEP_DEAD || (verdict == STEP_RETRY && call->last_attempt);
	bool nothing =
		verdict == STEP_OK && (is_nothing(step, &x) || x.verdict.then == STEP_HTTP_DROP || call->permit->next);
	if (step->config->record && last && !nothing)
		verdict = step_http_record(step, call, &x, verdict);
	if (step_wants_evidence(call, verdict) && !x.explained)
		step_http_explain(step, call, &x);
	if (verdict == STEP_OK && !nothing && step->config->into)
		verdict = put_into(call, &x);
	if (verdict == STEP_OK && !nothing && step->tells_meta)
		verdict = put_meta(call, &x);
	for (size_t i = 0; i < x.line_count; i++)
		free(x.lines[i]);
	free(x.lines);
	buf_fini(&x.url);
	buf_fini(&x.body);
	buf_fini(&x.packed);
	buf_fini(&x.around);
	free(x.hop);
	http_response_fini(&x.response);
	return verdict;
}

static void http_figures(const struct step *handle, struct buf *json)
{
	const struct http_step *step = (const struct http_step *)handle;
	struct http_figures figures;
	http_client_figures(step->client, &figures);
	json_put_uint(json, "http_connections", figures.connections);
	json_put_uint(json, "http_in_flight", figures.in_flight);
	json_put_uint(json, "http_waiting", figures.waiting);
}

/* To wait for all connections, and to look up a host; to fetch a token; for programs. */
static unsigned http_held(const void *arg)
{
	const struct step_http_config *config = arg;
	bool asks = config->poll_done || config->poll_failed;
	unsigned fetches = config->oauth2.token_url || config->exec.n ? 5 : 0;
	unsigned programs = (unsigned)(config->when.n != 0) + (config->json.program != NULL) + asks;
	return 5 + fetches + programs * jq_client_held(1);
}

static const struct step_ops http_ops = {
	.open = http_open,
	.run = http_run,
	.figures = http_figures,
	.close = http_close,
	.held = http_held,
	.reads_meta = http_reads_meta,
	.forgets = http_forgets,
	.descriptors = 1,
	.upstream = http_upstream,
};

const struct adapter step_http_adapter = {
	.kind = ADAPTER_STEP,
	.name = "http",
	.text = "Sends an HTTP request for each item; the body of the answer takes its place",
	.keys = step_http_keys,
	.config_bytes = sizeof(struct step_http_config),
	.shorthand = "url",
	.check = step_http_check,
	.step = &http_ops,
};
