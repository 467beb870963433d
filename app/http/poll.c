/* SPDX-License-Identifier: MIT */
/*
 * Jobs: a request begins something that takes a while, and is answered before that is done.
 *
 *     request --> good answer: done? --> its body is taken
 *                     |  ^     failed? --> a dead letter
 *                     v  |
 *                  [ waits ] --> GET, where the first answer said
 *
 * What is known of a job is a note that is kept with the item (call->note): when it was begun, and where to ask for it.
 * The engine has stored it before it lets the item wait, so a job is not begun twice; from then on all that goes wrong
 * is of a request for the job, and only the answer of the job itself ends it.
 *
 *     1790000000000 https://api.example.com/jobs/7
 *
 * Such a request has the credentials of the first.  So an answer may not lead to another host, unless the pipeline
 * names it.
 */
#include "http/exchange.h"

#include <curl/curl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "data/json_writer.h"

#define AT_MOST (3600 * WEIR_SEC)

enum { FAILED, DONE, RULES };

struct http_poll {
	struct step_http_rule rules[RULES];
	struct http_rules *asked; /* NULL: the status says whether it is done */
	const struct template *address;
	struct template *location; /* owned: the address where poll.url is not set */
	bool names_host;           /* the address does */
	bool is_done_by_status;
};

/* ---- opening */

static void add_rule(struct http_poll *poll, struct http_rules_options *opts, const char *name, char *condition,
		     enum step_http_then then)
{
	if (condition)
		poll->rules[opts->n++] =
			(struct step_http_rule){.name = name, .condition = condition, .then = (int)then};
}

static int find_template(struct http_poll *poll, const struct template *url, struct weir_error *err)
{
	struct http_origin origin = {0};
	int error = url ? 0 : template_compile("${meta.headers.location}", TEMPLATE_URL, &poll->location, err);
	poll->address = url ? url : poll->location;
	poll->names_host = url && !step_http_fixed_origin(url, &origin) && origin.name[0];
	return error;
}

int step_http_poll_open(const struct step_http_config *config, const char *exe_path, struct http_poll **ret_poll,
			struct weir_error *err)
{
	*ret_poll = NULL;
	if (!config->poll_every)
		return 0;
	struct http_poll *poll = calloc(1, sizeof *poll);
	if (!poll)
		return WEIR_ENOMEM;
	struct http_rules_options opts = {.key = "poll", .all = poll->rules, .exe_path = exe_path};
	add_rule(poll, &opts, "failed", config->poll_failed, STEP_HTTP_DEAD);
	add_rule(poll, &opts, "done", config->poll_done, STEP_HTTP_OK);
	poll->is_done_by_status = !config->poll_done;
	int error = find_template(poll, config->poll_url, err);
	if (error == 0)
		error = step_http_rules_open(&opts, &poll->asked, err);
	if (error < 0)
		step_http_poll_close(poll);
	else
		*ret_poll = poll;
	return error;
}

void step_http_poll_close(struct http_poll *poll)
{
	if (!poll)
		return;
	step_http_rules_close(poll->asked);
	template_free(poll->location);
	free(poll);
}

/* ---- the note */

static int64_t wall_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

const char *step_http_job(const struct step_call *call)
{
	const char *url = call->note && *call->note ? strchr(*call->note, ' ') : NULL;
	return url ? url + 1 : NULL;
}

/* How long the job may still take. */
static weir_nsec time_left(const struct step_http_config *config, const struct step_call *call)
{
	int64_t took = wall_ms() - strtoll(*call->note, NULL, 10);
	weir_nsec most = config->poll_at_most ? config->poll_at_most : AT_MOST;
	return took < 0 ? most : took < most / WEIR_MSEC ? most - took * WEIR_MSEC : 0;
}

/* ---- beginning */

/* What fills the template of the address: the answer, and what is known of the item and of it. */
static int find_input(const struct step_call *call, const struct exchange *x, struct json **ret_body,
		      struct json **ret_meta, struct weir_error *err)
{
	struct buf text = {0};
	size_t n;
	const char *body = step_http_text(&x->response, &n);
	struct value answer = {.meta = step_http_meta(x)};
	struct step_call answered = *call;
	answered.input = &answer;
	step_put_meta(&answered, &text);
	int error = !answer.meta || text.failed ? WEIR_ENOMEM : json_parse(text.data, text.len, ret_meta, err);
	if (error == 0)
		error = json_parse(body, n, ret_body, NULL);
	if (error == WEIR_EDATA) /* it has no values to put in */
		error = json_parse("null", 4, ret_body, NULL);
	free(answer.meta);
	buf_fini(&text);
	return error;
}

/* May be relative to the URL of the request, as a Location is. */
static int resolve(const struct exchange *x, const char *address, struct buf *url, struct weir_error *err)
{
	char *whole = NULL;
	CURLU *base = curl_url();
	int error = base ? 0 : WEIR_ENOMEM;
	if (base && (curl_url_set(base, CURLUPART_URL, x->request.url, 0) ||
		     curl_url_set(base, CURLUPART_URL, address, 0) || curl_url_get(base, CURLUPART_URL, &whole, 0)))
		error = weir_error_set(err, WEIR_EDATA, "the address of the job is no URL: %.120s", address);
	if (error == 0)
		error = buf_add_str(url, whole);
	curl_free(whole);
	curl_url_cleanup(base);
	return error;
}

static int find_address(const struct http_poll *poll, const struct step_call *call, const struct exchange *x,
			struct buf *url, struct weir_error *err)
{
	struct buf address = {0};
	struct json *body = NULL, *meta = NULL;
	int error = find_input(call, x, &body, &meta, err);
	if (error == 0)
		error = template_render(poll->address, &(struct template_input){body, meta}, &address, err);
	if (error == WEIR_EDATA && poll->location)
		weir_error_set(err, error, "the answer has no header Location; set poll.url");
	if (error == 0 && address.failed)
		error = WEIR_ENOMEM;
	if (error == 0)
		error = resolve(x, address.data ? address.data : "", url, err);
	json_free(body);
	json_free(meta);
	buf_fini(&address);
	return error;
}

static int check_host(const struct http_step *step, const struct exchange *x, const struct buf *url,
		      struct weir_error *err)
{
	struct http_origin origin = {0};
	const char *wrong = url->data ? http_origin_parse(url->data, &origin) : "is empty";
	if (wrong)
		return weir_error_set(err, WEIR_EDATA, "the address of the job %s", wrong);
	if (step->poll->names_host || strcmp(origin.name, x->origin.name) == 0)
		return 0;
	return weir_error_set(err, WEIR_EDATA,
			      "the job is at another host, %.100s; if that is right, write it out in "
			      "poll.url",
			      origin.name);
}

/* Makes the note. */
static enum step_verdict begin(const struct http_step *step, struct step_call *call, const struct exchange *x)
{
	struct weir_error err = {0};
	struct buf url = {0}, note = {0};
	int error = find_address(step->poll, call, x, &url, &err);
	if (error == 0)
		error = check_host(step, x, &url, &err);
	if (error == 0)
		error = buf_addf(&note, "%lld %s", (long long)wall_ms(), url.data);
	buf_fini(&url);
	if (error == 0)
		*call->note = buf_take(&note, NULL);
	buf_fini(&note);
	if (error == WEIR_ENOMEM)
		return step_say(call, STEP_RETRY, "memory: %s", weir_strerror(error));
	return error ? step_say(call, STEP_DEAD, "poll: %.200s", err.text) : STEP_OK;
}

/* ---- waiting */

/* Whether it is done: STEP_OK; STEP_WAIT: it is not, or nobody can say so now. */
static enum step_verdict ask(const struct http_poll *poll, struct step_call *call, const struct exchange *x)
{
	size_t number = 0;
	weir_nsec after;
	enum step_verdict verdict = STEP_OK;
	if (poll->asked)
		verdict = step_http_rules_ask(poll->asked, call, &x->response, &number, &after);
	if (verdict != STEP_OK)
		return verdict == STEP_RETRY ? STEP_WAIT : verdict;
	if (number && poll->rules[number - 1].then == STEP_HTTP_DEAD)
		return step_http_say_failed(call, x);
	return number || (poll->is_done_by_status && x->response.status != 202) ? STEP_OK : STEP_WAIT;
}

enum step_verdict step_http_await(const struct http_step *step, struct step_call *call, const struct exchange *x)
{
	const struct step_http_config *config = step->config;
	bool is_new = !step_http_job(call);
	enum step_verdict verdict = step->poll ? ask(step->poll, call, x) : STEP_OK;
	if (verdict != STEP_WAIT)
		return verdict;
	if (is_new && (verdict = begin(step, call, x)) != STEP_OK)
		return verdict;
	weir_nsec left = time_left(config, call);
	if (!left)
		return step_say(call, STEP_DEAD, "poll: the job has taken longer than poll.at_most");
	call->after = x->response.retry_after ? x->response.retry_after : config->poll_every;
	call->after = call->after < left ? call->after : left;
	return step_say(call, STEP_WAIT, "poll: the job is not done yet");
}
