/* SPDX-License-Identifier: MIT */
/*
 * The step `http`: one request per item; the body of the answer takes the item's place.
 *
 * Its keys are in config.c; a request is made in request.c; what an answer means is in verdict.c and answer.c.
 */
#include "http/exchange.h"

#include "data/json_writer.h"
#include "http/connection.h"
#include "http/proxy.h"
#include "jq/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/run.h>

#define PROBE_LIMIT (5 * WEIR_SEC)

/* ---- opening ---- */

static const enum http_version versions[] = {
	[STEP_HTTP_1_1] = HTTP_VERSION_1_1, [STEP_HTTP_2] = HTTP_VERSION_2, [STEP_HTTP_AUTO] = HTTP_VERSION_AUTO};

static int open_client(struct http_step *step, const struct step_env *env, struct weir_error *err)
{
	const struct step_http_config *config = step->config;
	struct http_tls tls = {0};
	int error = step_http_find_tls(config, env, &tls, err);
	if (error == 0)
		error = step_http_find_proxies(config, env, &step->proxies, err);
	if (error == 0)
		error = step_http_make_headers(step, err);
	const struct http_client_options opts = {
		.in_flight = env->most > env->concurrency ? env->most : env->concurrency,
		.expected = env->concurrency,
		.per_host = (size_t)config->max_connections,
		.timeout = config->timeout,
		.connect_timeout = config->timeout_connect,
		.silence_timeout = config->timeout_first_byte,
		.version = versions[config->http],
		.tls = tls,
		.proxies = step->proxies,
		.body_bytes = (size_t)config->max_body,
		.header_bytes = (size_t)config->max_headers,
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
	const char *program = step_http_program(config);
	return step_http_some_template(config, template_has_meta) || (program && jq_reads_meta(program)) ||
	       step_http_rules_read_meta(config);
}

static bool http_forgets(const void *config)
{
	return !((const struct step_http_config *)config)->memo;
}

static bool varies(const struct template *template)
{
	return !template_is_constant(template);
}

static void find_needs(struct http_step *step)
{
	const struct step_http_config *config = step->config;
	for (size_t i = 0; i < config->headers.n; i++)
		step->varying_headers += varies(config->headers.headers[i].value);
	step->needs_meta = http_reads_meta(config);
	step->needs_item = step_http_some_template(config, varies) || config->into;
}

static int http_open(const void *arg, const struct step_env *env, struct step **ret_step, struct weir_error *err)
{
	struct http_step *step = calloc(1, sizeof *step);
	if (!step)
		return weir_error_set(err, WEIR_ENOMEM, "step http: out of memory");
	const struct step_http_config *config = step->config = arg;
	step->tells_meta = env->meta;
	step->requests = env->requests;
	step->is_list = env->url_list;
	step->sends_key = step_http_sends_key(step->config);
	step->sends_parent = !step_http_header(step->config, "traceparent");
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

/* What was asked, where, and how that went, for those who watch the run. */
static void measure(const struct http_step *step, const struct exchange *x, int error)
{
	char status[12] = "error";
	if (!step->requests || error == WEIR_ECANCELED)
		return;
	if (error == 0)
		snprintf(status, sizeof status, "%u", (unsigned)x->response.status);
	const char *labels[] = {x->origin.name, x->request.method, status};
	weir_histogram_record(weir_metric_histogram(step->requests, labels), x->response.took);
}

static void trace(struct step_call *call, const struct exchange *x, int error, weir_nsec begun)
{
	const struct http_response *response = &x->response;
	char failure[200] = "";
	if (error)
		snprintf(failure, sizeof failure, "%s: %s", error == WEIR_ETIMEDOUT ? "timeout" : "canceled",
			 weir_strerror(error));
	else if (response->failure)
		snprintf(failure, sizeof failure, "%s: %s", http_failure_name(response->failure), response->detail);
	trace_request(&call->tracing, &(struct trace_request){.id = x->span,
							      .begun = begun,
							      .method = x->request.method,
							      .url = x->request.url,
							      .status = error ? 0 : response->status,
							      .error = failure});
}

static const char *http_upstream(const struct step *handle, const struct step_call *call,
				 char room[STEP_UPSTREAM_BYTES])
{
	const struct http_step *step = (const struct http_step *)handle;
	const struct http_hop *hop = call->leg ? *call->leg : NULL;
	struct http_origin origin;
	if (step->config->label)
		return step->config->label;
	if (hop)
		return hop->origin.name;
	if (step->origin.name[0] && !step_http_job(call))
		return step->origin.name;
	if (!step_http_find_origin(step, call, &origin))
		return NULL;
	memcpy(room, origin.name, strlen(origin.name) + 1);
	return room;
}

static enum step_verdict exchange(struct http_step *step, struct step_call *call, struct exchange *x)
{
	enum step_verdict verdict = step_http_prepare(step, call, x);
	if (verdict != STEP_OK || step_http_is_nothing(step, x))
		return verdict;
	if (call->permit->cut)
		return step_http_turned_away(call);
	verdict = step_http_authorize(step, call, x);
	if (verdict != STEP_OK)
		return verdict;
	value_forget(call->input); /* the answer may take long */
	weir_nsec begun = call->tracing.tracer ? weir_clock() : 0;
	int error = http_client_fetch(step->client, &x->request, &x->response, WEIR_FOREVER);
	measure(step, x, error);
	if (call->tracing.tracer)
		trace(call, x, error, begun);
	verdict = error == 0 ? step_http_decide(step, call, x) : STEP_OK;
	if (error == 0 && verdict == STEP_OK && step_http_reauthorize(step, call, x, &verdict))
		return verdict;
	if (error == WEIR_ETIMEDOUT && step_http_was_held_up(step, call, x, &verdict))
		return verdict;
	enum step_verdict moved = step_http_parts_check(call, x, error);
	if (moved == STEP_OK && verdict == STEP_OK)
		moved = step_http_save(step, call, x, &error);
	step_http_leave(call, x, error);
	if (call->explain) { /* the judge takes the body of a good answer */
		step_http_explain(step, call, x);
		x->explained = true;
	}
	if (moved != STEP_OK)
		return moved == STEP_CANCELED ? moved : step_http_excuse(call, moved);
	if (error == WEIR_ECANCELED)
		return STEP_CANCELED;
	if (error == WEIR_ETIMEDOUT)
		return step_say(call, STEP_RETRY, "timeout: the attempt took too long (flow.timeout.attempt)");
	if (error < 0)
		return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(error));
	if (verdict == STEP_OK && x->is_again)
		return step_http_send_again(step, call, x);
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
	bool nothing = verdict == STEP_OK &&
		       (step_http_is_nothing(step, &x) || x.verdict.then == STEP_HTTP_DROP || call->permit->next);
	if (step->config->record && last && !nothing)
		verdict = step_http_record(step, call, &x, verdict);
	if (step_wants_evidence(call, verdict) && !x.explained)
		step_http_explain(step, call, &x);
	if (verdict == STEP_OK && !nothing && step->config->into)
		verdict = put_into(call, &x);
	if (verdict == STEP_OK && !nothing && step->tells_meta)
		verdict = put_meta(call, &x);
	step_http_save_close(call, &x, verdict);
	for (size_t i = 0; i < x.line_count; i++)
		free(x.lines[i]);
	free(x.lines);
	http_multipart_free(x.parts);
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

static const char *http_full(const struct step *handle)
{
	const struct http_step *step = (const struct http_step *)handle;
	return step->full_count ? step->full : NULL;
}

/* To wait for all connections, and to look up a host; to fetch a token; for programs. */
static unsigned http_held(const void *arg)
{
	const struct step_http_config *config = arg;
	bool asks = config->poll_done || config->poll_failed;
	unsigned fetches = config->oauth2.token_url || config->exec.n || config->aws.exec.n ? 5 : 0;
	unsigned programs = (unsigned)(config->when.n != 0) + (step_http_program(config) != NULL) + asks;
	return 5 + fetches + programs * jq_client_held(1);
}

/* Of the connection; of a file that is sent; of one that is written, and of its folder. */
static unsigned http_descriptors(const void *arg)
{
	const struct step_http_config *config = arg;
	return 1u + (config->multipart.n ? 1u : 0u) + (config->save.path.template ? 2u : 0u);
}

/* Whether a failure to connect stays until somebody changes something. */
static bool is_final(enum http_failure failure)
{
	return failure == HTTP_CERTIFICATE || failure == HTTP_PROXY_DENIED || failure == HTTP_NOT_ALLOWED;
}

/* A connection to an upstream that is the same for every item, with TLS and through the proxy as the config says. */
static int http_probe(struct step *handle, struct buf *out, struct weir_error *err)
{
	const struct http_step *step = (const struct http_step *)handle;
	const struct http_origin *origin = &step->origin;
	const struct http_request request = {.method = "GET", .url = origin->name, .origin = origin, .is_probe = true};
	const struct http_proxy *proxy = http_proxies_find(step->proxies, origin);
	struct http_response response = {0};
	if (!origin->name[0])
		return buf_add_str(out, "not tried, as each item names its host");
	int code = http_client_fetch(step->client, &request, &response, weir_after(PROBE_LIMIT));
	if (code)
		weir_error_set(err, code, "%s: %s", origin->name,
			       code == WEIR_ETIMEDOUT ? "no connection in 5 s" : weir_strerror(code));
	else if (response.failure == HTTP_ANSWERED)
		buf_addf(out, "connected to %s%s%s", origin->name, proxy ? " through the proxy " : "",
			 proxy ? proxy->name : "");
	else
		code = weir_error_set(err, is_final(response.failure) ? WEIR_EINVAL : WEIR_EBUSY, "%s: %s: %s",
				      origin->name, http_failure_name(response.failure), response.detail);
	http_response_fini(&response);
	return code;
}

static const struct step_ops http_ops = {
	.open = http_open,
	.probe = http_probe,
	.run = http_run,
	.figures = http_figures,
	.full = http_full,
	.close = http_close,
	.held = http_held,
	.reads_meta = http_reads_meta,
	.forgets = http_forgets,
	.descriptors = http_descriptors,
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
