/* SPDX-License-Identifier: MIT */
/* See observe.h. */
#include "cmd/observe.h"

#include "cmd/figures.h"
#include "cmd/metrics.h"
#include "cmd/past.h"
#include "observe/endpoint.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir/weir.h>

#define LOOK_PERIOD WEIR_SEC
#define STALL_TIME  (3 * WEIR_SEC)

struct observe {
	struct metrics *metrics;
	const struct plan *plan;
	struct telemetry *telemetry;    /* NULL: nothing is sent */
	struct weir_error no_telemetry; /* why, if something was to be */
	struct report *report;
	struct endpoint *endpoint;
	struct history *history; /* NULL: none is kept */
	struct past past;
	weir_nsec lag;           /* of the last look */
	bool shows_payload;      /* readers must have the token */
	double most_filled;      /* 0: any */
	weir_nsec most_put_wait; /* 0: any */
};

void observe_free(struct observe *observe)
{
	if (!observe)
		return;
	metrics_free(observe->metrics);
	telemetry_free(observe->telemetry);
	history_close(observe->history);
	free(observe);
}

int observe_new(struct report *report, const struct plan *plan, struct observe **ret_observe)
{
	struct observe *observe = calloc(1, sizeof *observe);
	if (!observe)
		return WEIR_ENOMEM;
	observe->report = report;
	observe->plan = plan;
	telemetry_new(plan, &observe->telemetry, &observe->no_telemetry);
	if (metrics_new(report, observe->telemetry, &observe->metrics)) {
		observe_free(observe);
		return WEIR_ENOMEM;
	}
	*ret_observe = observe;
	return 0;
}

struct tracer *observe_tracer(struct observe *observe)
{
	return observe ? telemetry_tracer(observe->telemetry) : NULL;
}

struct weir_metric *observe_requests(struct observe *observe)
{
	return observe ? metrics_requests(observe->metrics) : NULL;
}

/* --- a look --- */

static void publish_metrics(struct observe *observe, enum weir_metrics_format format, enum endpoint_page page)
{
	char *text;
	size_t n;
	if (metrics_text(observe->metrics, format, &text, &n))
		return;
	endpoint_publish(observe->endpoint, page, text, n);
	free(text);
}

/* A page for which there is no memory is published at the next look. */
static void publish(struct observe *observe)
{
	struct buf status = {0};
	if (!observe->endpoint)
		return;
	publish_metrics(observe, WEIR_METRICS_TEXT, ENDPOINT_TEXT);
	publish_metrics(observe, WEIR_METRICS_OPENMETRICS, ENDPOINT_OPENMETRICS);
	figures_json(observe->report, "status", observe->shows_payload, &status);
	if (!status.failed)
		endpoint_publish(observe->endpoint, ENDPOINT_STATUS, status.data, status.len);
	buf_fini(&status);
}

static void look(struct observe *observe)
{
	report_look(observe->report);
	metrics_look(observe->metrics, observe->lag);
	publish(observe);
}

static const char *not_ready(const struct observe *observe)
{
	const struct engine_stats *now = &observe->report->now;
	if (now->state != ENGINE_RUNNING)
		return engine_state_name(now->state);
	if (now->degraded)
		return "a disk is full";
	if (observe->most_filled > 0 && now->filled > observe->most_filled)
		return "the broker is fuller than observe.ready.depth";
	if (observe->most_put_wait && now->put_wait > observe->most_put_wait)
		return "the source waits for room in the broker for longer than observe.ready.put_wait";
	return NULL;
}

/* --- the history --- */

struct remembering {
	struct history *history;
	int64_t at;
	float values[PAST_COUNT];
};

static int remember(void *arg)
{
	struct remembering *this = arg;
	return history_add(this->history, this->at, this->values);
}

/* What was seen since the last time, if anything was. */
static bool recollect(struct observe *observe, struct remembering *ret_this)
{
	*ret_this = (struct remembering){.history = observe->history, .at = time(NULL)};
	return past_take(&observe->past, observe->report, observe->lag, ret_this->values);
}

int observe_keep(struct observe *observe, const char *path, bool only_submits, struct weir_error *err)
{
	int code = history_open(path, past_figures, PAST_COUNT, &observe->history, err);
	if (!code && only_submits)
		history_yield(observe->history);
	return code;
}

bool observe_keeps(const struct observe *observe)
{
	return observe->history;
}

/* In a separate fiber, so that a slow disk delays no publication.  A second that could not be written is lost. */
int observe_remember(void *arg)
{
	struct observe *observe = arg;
	struct remembering this;
	do {
		if (recollect(observe, &this))
			weir_offload(remember, &this, WEIR_FOREVER);
	} while (!weir_sleep(LOOK_PERIOD));
	return 0;
}

/* --- life --- */

int observe_start(struct observe *observe, bool *ret_taken, struct weir_error *err)
{
	const struct plan_settings *settings = &observe->plan->settings;
	const struct endpoint_options opts = {.listen = settings->observe_listen,
					      .token = settings->observe_token,
					      .history = observe->history,
					      .stall = STALL_TIME};
	observe->shows_payload = settings->observe_token;
	observe->most_filled = settings->ready_depth;
	observe->most_put_wait = settings->ready_put_wait;
	int code = endpoint_start(&opts, &observe->endpoint, err);
	if (code)
		return code;
	const char *port = strrchr(settings->observe_listen, ':');
	*ret_taken = strcmp(port, ":0") != 0 && strcmp(port, strrchr(endpoint_url(observe->endpoint), ':')) != 0;
	return 0;
}

int observe_send(struct observe *observe, struct weir_error *err)
{
	struct engine_stats stats;
	if (observe->no_telemetry.code) {
		*err = observe->no_telemetry;
		return err->code;
	}
	engine_stats(observe->report->engine, &stats);
	return telemetry_start(observe->telemetry, stats.run, err);
}

const char *observe_url(const struct observe *observe)
{
	return observe && observe->endpoint ? endpoint_url(observe->endpoint) : NULL;
}

int observe_run(void *arg)
{
	struct observe *observe = arg;
	for (;;) {
		weir_nsec due = weir_now() + LOOK_PERIOD;
		look(observe);
		telemetry_look(observe->telemetry, metrics_all(observe->metrics), false);
		if (observe->endpoint)
			endpoint_beat(observe->endpoint, not_ready(observe));
		if (weir_sleep_until(due))
			return 0;
		observe->lag = weir_clock() - due;
	}
}

void observe_stop(struct observe *observe)
{
	struct remembering last;
	observe->lag = 0;
	look(observe);
	if (observe->history && recollect(observe, &last))
		remember(&last);
	telemetry_look(observe->telemetry, metrics_all(observe->metrics), true);
	telemetry_stop(observe->telemetry);
	look(observe);
	endpoint_stop(observe->endpoint);
	observe->endpoint = NULL;
}

void observe_say(const struct observe *observe, struct buf *out)
{
	telemetry_say(observe->telemetry, out);
}
