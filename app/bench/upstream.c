/* SPDX-License-Identifier: MIT */
/*
 * The model draws a job's time and its error from the seed and the job's number, so every pattern meets the same jobs,
 * whatever order it takes them in.  The mock draws from the same distribution, in the order of its requests.
 *
 * While the model is down its calls wait on an event with a deadline instead of sleeping, so that they can be cut off.
 */
#include "bench/upstream.h"

#include <stdio.h>
#include <stdlib.h>
#include <weir/event.h>
#include <weir/random.h>

#include "bench/mock.h"
#include "http/client.h"
#include "http/origin.h"

struct bench_upstream {
	struct bench_upstream_options opts;
	struct http_client *client;
	struct bench_mock mock;
	struct http_origin origin; /* of the mock */
	bool down;
	struct weir_event *cut; /* of the model: set while it is down */
};

/* ---- the model */

static uint64_t dice_of(uint64_t seed, uint64_t index, uint64_t what)
{
	uint64_t state = seed ^ (index * 0xd1342543de82ef95u) ^ (what << 56);
	return weir_random(&state);
}

weir_nsec bench_model_time(const struct bench_load *load, uint64_t seed, uint64_t index)
{
	uint64_t dice = dice_of(seed, index, 0);
	return load->low + (weir_nsec)weir_random_below(&dice, (uint64_t)(load->high - load->low) + 1);
}

bool bench_model_fails(const struct bench_load *load, uint64_t seed, uint64_t index, unsigned attempt)
{
	uint64_t dice = dice_of(seed, index, attempt);
	return load->errors > 0 && weir_random_unit(&dice) < load->errors;
}

static int call_model(struct bench_upstream *upstream, uint64_t index, unsigned attempt, enum bench_cause *ret_cause,
		      weir_nsec deadline)
{
	const struct bench_upstream_options *opts = &upstream->opts;
	weir_nsec end = weir_now() + bench_model_time(&opts->load, opts->seed, index);
	if (upstream->down) {
		*ret_cause = BENCH_CAUSE_CONNECT;
		int code = weir_sleep(WEIR_MSEC);
		return code < 0 ? code : WEIR_EIO;
	}
	int code = weir_event_wait(upstream->cut, deadline != WEIR_FOREVER && deadline < end ? deadline : end);
	*ret_cause = code == 0 ? BENCH_CAUSE_RESET : BENCH_CAUSE_SERVER;
	if (code == 0)
		return WEIR_EIO;
	if (code != WEIR_ETIMEDOUT || weir_now() < end) { /* a scope of deadlines may have ended before */
		*ret_cause = BENCH_CAUSE_TIMEOUT;
		return code;
	}
	return bench_model_fails(&opts->load, opts->seed, index, attempt) ? WEIR_EIO : 0;
}

/* ---- sockets */

static enum bench_cause cause_of(const struct http_response *response)
{
	switch (response->failure) {
	case HTTP_ANSWERED:
		return response->status == 429   ? BENCH_CAUSE_THROTTLED
		       : response->status >= 500 ? BENCH_CAUSE_SERVER
						 : BENCH_CAUSE_CLIENT;
	case HTTP_TIMEOUT:
		return BENCH_CAUSE_TIMEOUT;
	case HTTP_CONNECT:
		return BENCH_CAUSE_CONNECT;
	case HTTP_RESET:
		return BENCH_CAUSE_RESET;
	default:
		return BENCH_CAUSE_OTHER;
	}
}

static int fetch(struct bench_upstream *upstream, const struct http_request *request, weir_nsec *ret_took,
		 enum bench_cause *ret_cause, weir_nsec deadline)
{
	struct http_response response;
	int code = http_client_fetch(upstream->client, request, &response, deadline);
	if (code < 0) {
		*ret_cause = code == WEIR_ETIMEDOUT ? BENCH_CAUSE_TIMEOUT : BENCH_CAUSE_OTHER;
		return code;
	}
	bool good = response.failure == HTTP_ANSWERED && response.status < 400;
	*ret_cause = cause_of(&response);
	*ret_took = response.took;
	http_response_fini(&response);
	return good ? 0 : WEIR_EIO;
}

static int call_url(struct bench_upstream *upstream, const char *url, weir_nsec *ret_took, enum bench_cause *ret_cause,
		    weir_nsec deadline)
{
	struct http_origin origin;
	if (http_origin_parse(url, &origin)) { /* they were looked at before */
		*ret_cause = BENCH_CAUSE_OTHER;
		return WEIR_EIO;
	}
	return fetch(upstream, &(struct http_request){.method = "GET", .url = url, .origin = &origin}, ret_took,
		     ret_cause, deadline);
}

static int call_mock(struct bench_upstream *upstream, uint64_t index, weir_nsec *ret_took, enum bench_cause *ret_cause,
		     weir_nsec deadline)
{
	char url[128];
	snprintf(url, sizeof url, "%s/orders/%llu", upstream->mock.url, (unsigned long long)index + 1);
	return fetch(upstream, &(struct http_request){.method = "GET", .url = url, .origin = &upstream->origin},
		     ret_took, ret_cause, deadline);
}

int bench_upstream_call(struct bench_upstream *upstream, uint64_t index, unsigned attempt, weir_nsec *ret_took,
			enum bench_cause *ret_cause, weir_nsec deadline)
{
	const struct bench_upstream_options *opts = &upstream->opts;
	weir_nsec begin = weir_now();
	int code;
	*ret_took = -1;
	if (opts->url_count)
		code = call_url(upstream, opts->urls[index % opts->url_count], ret_took, ret_cause, deadline);
	else if (opts->sockets)
		code = call_mock(upstream, index, ret_took, ret_cause, deadline);
	else
		code = call_model(upstream, index, attempt, ret_cause, deadline);
	if (*ret_took < 0)
		*ret_took = weir_now() - begin;
	return code;
}

/* ---- there and not there */

void bench_upstream_down(struct bench_upstream *upstream)
{
	upstream->down = true;
	weir_event_set(upstream->cut);
	bench_mock_stop(&upstream->mock);
}

int bench_upstream_up(struct bench_upstream *upstream)
{
	int code = upstream->opts.sockets && !upstream->opts.url_count ? bench_mock_again(&upstream->mock) : 0;
	upstream->down = false;
	weir_event_clear(upstream->cut);
	return code;
}

static int open_sockets(struct bench_upstream *upstream, struct weir_error *err)
{
	const struct bench_upstream_options *opts = &upstream->opts;
	const struct http_client_options client = {
		.in_flight = opts->in_flight,
		.timeout = opts->timeout,
		.public_only = opts->url_count && !opts->allow_private,
	};
	int code = 0;
	if (!opts->url_count) {
		code = bench_mock_start(&upstream->mock, opts->weir, &opts->load, opts->seed, opts->place);
		if (code < 0)
			return weir_error_set(err, code, "weir mock could not be started: %s", weir_strerror(code));
		http_origin_parse(upstream->mock.url, &upstream->origin);
	}
	code = http_client_new(&client, &upstream->client);
	return code < 0 ? weir_error_set(err, code, "no HTTP client: %s", weir_strerror(code)) : 0;
}

int bench_upstream_open(const struct bench_upstream_options *opts, struct bench_upstream **ret_upstream,
			struct weir_error *err)
{
	struct bench_upstream *upstream = calloc(1, sizeof *upstream);
	if (!upstream)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	upstream->opts = *opts;
	int code = weir_event_new(&upstream->cut);
	if (!code && (opts->sockets || opts->url_count))
		code = open_sockets(upstream, err);
	if (code < 0) {
		bench_upstream_close(upstream);
		return code;
	}
	*ret_upstream = upstream;
	return 0;
}

void bench_upstream_close(struct bench_upstream *upstream)
{
	if (!upstream)
		return;
	http_client_free(upstream->client);
	bench_mock_stop(&upstream->mock);
	weir_event_free(upstream->cut);
	free(upstream);
}
