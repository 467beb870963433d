/* SPDX-License-Identifier: MIT */
/*
 * See exporter.h.
 *
 *     the run's loop                          the thread's loop
 *     exporter_put_trace() --> queue ----.
 *     exporter_put_metrics() -> newest --+--> a lane for each signal: takes, encodes, packs, sends
 *     exporter_stop() --> wake ----------'    hear: wakes them, and ends them
 */
#include "otlp/exporter.h"

#include "codec/codec.h"
#include "http/client.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <weir/weir.h>

enum { BATCH_TRACES = 256, NICENESS = 10 };

#define PERIOD       WEIR_SEC
#define POST_TIMEOUT (10 * WEIR_SEC)

/* One signal; of the thread alone, but for the sender's counters. */
struct otlp_lane {
	struct exporter *exporter;
	char *url;
	struct otlp_sender sender;
	struct http_response response; /* the last */
	/* What is to be sent next: its spans or points; 0: nothing.  *ret_full: there was more than that. */
	uint64_t (*take)(struct exporter *exporter, struct buf *out, bool *ret_full);
};

struct exporter {
	struct exporter_options opts;
	char run[33];
	weir_nsec started; /* Unix time */
	int wake;          /* an eventfd: of the other thread, see hear() */
	pthread_t thread;
	bool is_started;

	pthread_mutex_t lock; /* of all of these; held for a few instructions */
	struct trace *first, **last;
	size_t traces;
	struct buf metrics; /* the newest, encoded; empty: none */
	uint64_t points;
	bool is_ending;

	/* of the thread alone */
	struct otlp_lane lanes[OTLP_SIGNALS];
	struct http_client *client;
	struct weir_event *more, *ending; /* more: NULL unless lanes run */
};

static weir_nsec unix_time(void)
{
	struct timespec time;
	clock_gettime(CLOCK_REALTIME, &time);
	return time.tv_sec * WEIR_SEC + time.tv_nsec;
}

/* ---- what the run gives */

static void wake(struct exporter *exporter)
{
	uint64_t one = 1;
	if (write(exporter->wake, &one, sizeof one) < 0)
		return; /* it is full: whoever reads it wakes in any case */
}

void exporter_put_trace(void *arg, struct trace *trace)
{
	struct exporter *exporter = arg;
	pthread_mutex_lock(&exporter->lock);
	bool has_room = exporter->traces < EXPORTER_TRACES_MOST;
	if (has_room) {
		trace->next = NULL;
		*exporter->last = trace;
		exporter->last = &trace->next;
		exporter->traces++;
	}
	bool is_half_full = has_room && exporter->traces == EXPORTER_TRACES_MOST / 2;
	pthread_mutex_unlock(&exporter->lock);
	if (is_half_full)
		wake(exporter);
	if (has_room)
		return;
	otlp_lose(&exporter->lanes[OTLP_TRACES].sender, OTLP_LOST_QUEUE, trace->n + (trace->settled != 0));
	trace_free(trace);
}

void exporter_put_metrics(struct exporter *exporter, const struct weir_metrics *metrics)
{
	struct buf text = {0};
	uint64_t points =
		otlp_encode_metrics(metrics, exporter->opts.names.resource, exporter->started, unix_time(), &text);
	if (text.failed) {
		otlp_lose(&exporter->lanes[OTLP_METRICS].sender, OTLP_LOST_MEMORY, points);
		buf_fini(&text);
		return;
	}
	pthread_mutex_lock(&exporter->lock);
	struct buf old = exporter->metrics;
	uint64_t old_points = exporter->points;
	exporter->metrics = text;
	exporter->points = points;
	pthread_mutex_unlock(&exporter->lock);
	otlp_lose(&exporter->lanes[OTLP_METRICS].sender, OTLP_LOST_QUEUE, old_points);
	buf_fini(&old);
	wake(exporter);
}

/* ---- what the thread takes */

static struct trace *take_list(struct exporter *exporter, size_t most, bool *ret_full)
{
	pthread_mutex_lock(&exporter->lock);
	struct trace *list = exporter->first, **at = &exporter->first;
	size_t n = 0;
	for (; *at && n < most; n++)
		at = &(*at)->next;
	exporter->first = *at;
	*at = NULL;
	exporter->traces -= n;
	*ret_full = exporter->first;
	if (!exporter->first)
		exporter->last = &exporter->first;
	pthread_mutex_unlock(&exporter->lock);
	return n ? list : NULL;
}

static uint64_t take_traces(struct exporter *exporter, struct buf *out, bool *ret_full)
{
	struct trace *list = take_list(exporter, BATCH_TRACES, ret_full);
	uint64_t n = list ? otlp_encode_traces(list, &exporter->opts.names, unix_time() - weir_clock(), out) : 0;
	while (list) {
		struct trace *trace = list;
		list = trace->next;
		trace_free(trace);
	}
	return n;
}

static uint64_t take_metrics(struct exporter *exporter, struct buf *out, bool *ret_full)
{
	*ret_full = false;
	pthread_mutex_lock(&exporter->lock);
	uint64_t n = exporter->points;
	*out = exporter->metrics;
	exporter->metrics = (struct buf){0};
	exporter->points = 0;
	pthread_mutex_unlock(&exporter->lock);
	return n;
}

/* ---- a lane */

static int post_over_http(struct otlp_lane *lane, const struct buf *body, struct otlp_answer *ret_answer)
{
	const struct exporter_options *opts = &lane->exporter->opts;
	struct http_response response = {0};
	const struct http_request request = {.method = "POST",
					     .url = lane->url,
					     .origin = &opts->settings->origin,
					     .headers = (const char *const *)opts->settings->headers,
					     .header_count = opts->settings->header_count,
					     .body = body->data,
					     .body_bytes = body->len};
	http_response_fini(&lane->response);
	lane->response = (struct http_response){0};
	int code = http_client_fetch(lane->exporter->client, &request, &response, WEIR_FOREVER);
	if (code)
		return code;
	lane->response = response;
	*ret_answer = (struct otlp_answer){.status = response.status,
					   .retry_after = response.retry_after,
					   .body = response.body,
					   .body_bytes = response.body_bytes};
	return response.failure == HTTP_ANSWERED ? 0 : WEIR_EIO;
}

static int post(void *arg, const struct buf *body, struct otlp_answer *ret_answer)
{
	struct otlp_lane *lane = arg;
	struct exporter *exporter = lane->exporter;
	enum otlp_signal signal = (enum otlp_signal)(lane - exporter->lanes);
	return exporter->opts.post ? exporter->opts.post(exporter->opts.arg, signal, body, ret_answer)
				   : post_over_http(lane, body, ret_answer);
}

static void send_packed(struct otlp_lane *lane, struct buf *text, uint64_t n)
{
	struct buf packed = {0};
	bool is_packed = lane->exporter->opts.is_packed;
	if (text->failed || (is_packed && codec_pack_fast(CODEC_GZIP, text->data, text->len, &packed)))
		otlp_lose(&lane->sender, OTLP_LOST_MEMORY, n);
	else
		otlp_send(&lane->sender, is_packed ? &packed : text, n);
	buf_fini(&packed);
}

/* All that is there, but for what comes meanwhile: that is to be a batch, too. */
static void send_all(struct otlp_lane *lane)
{
	bool is_full = true;
	while (is_full && !weir_canceled()) {
		struct buf text = {0};
		uint64_t n = lane->take(lane->exporter, &text, &is_full);
		if (n)
			send_packed(lane, &text, n);
		buf_fini(&text);
	}
}

static int run_lane(void *arg)
{
	struct otlp_lane *lane = arg;
	struct exporter *exporter = lane->exporter;
	while (!weir_event_is_set(exporter->ending)) {
		weir_event_clear(exporter->more);
		send_all(lane);
		if (!weir_event_is_set(exporter->ending))
			weir_event_wait(exporter->more, weir_now() + PERIOD);
	}
	send_all(lane);
	return 0;
}

/* ---- the thread */

static int run_lanes(struct exporter *exporter, struct weir_group *group)
{
	int code = 0;
	for (size_t i = 0; i < OTLP_SIGNALS && !code; i++) {
		exporter->lanes[i].sender.ending = exporter->ending;
		code = weir_group_spawn(group, run_lane, &exporter->lanes[i], WEIR_FOREVER);
	}
	if (!code)
		code = weir_event_wait(exporter->ending, WEIR_FOREVER);
	weir_event_set(exporter->ending);
	weir_event_set(exporter->more);
	if (weir_group_wait(group, weir_now() + EXPORTER_FLUSH)) {
		weir_group_cancel(group);
		weir_group_wait(group, WEIR_FOREVER);
	}
	return code;
}

static void drop_rest(struct exporter *exporter)
{
	struct buf left = {0};
	for (size_t i = 0; i < OTLP_SIGNALS; i++) {
		struct otlp_lane *lane = &exporter->lanes[i];
		uint64_t n;
		bool is_full;
		while ((n = lane->take(exporter, &left, &is_full))) {
			otlp_lose(&lane->sender, OTLP_LOST_END, n);
			buf_fini(&left);
		}
	}
}

int exporter_send(struct exporter *exporter, struct weir_event *ending)
{
	struct weir_group *group = NULL;
	exporter->ending = ending;
	int code = weir_event_new(&exporter->more);
	if (!code)
		code = weir_group_new(&(struct weir_group_options){.flags = WEIR_GROUP_COLLECT}, &group);
	if (!code)
		code = run_lanes(exporter, group);
	for (size_t i = 0; i < OTLP_SIGNALS; i++)
		http_response_fini(&exporter->lanes[i].response);
	weir_group_free(group);
	weir_event_free(exporter->more);
	exporter->more = NULL;
	drop_rest(exporter);
	return code;
}

/* Without what wakes it the thread sends what there is, and ends. */
static int hear(void *arg)
{
	struct exporter *exporter = arg;
	struct weir_io *io;
	bool is_ending = weir_io_open(exporter->wake, &io) < 0, is_open = !is_ending;
	while (!is_ending) {
		uint64_t count;
		is_ending = weir_io_read(io, &count, sizeof count, WEIR_FOREVER) < 0;
		pthread_mutex_lock(&exporter->lock);
		is_ending = is_ending || exporter->is_ending;
		pthread_mutex_unlock(&exporter->lock);
		if (exporter->more)
			weir_event_set(exporter->more);
	}
	weir_event_set(exporter->ending);
	if (is_open)
		weir_io_close(io);
	return 0;
}

static int run_loop(void *arg)
{
	static const char *const packed[] = {"Content-Type: application/json", "Content-Encoding: gzip"};
	struct exporter *exporter = arg;
	const struct http_client_options opts = {.in_flight = OTLP_SIGNALS,
						 .timeout = POST_TIMEOUT,
						 .body_bytes = 64 << 10,
						 .headers = packed,
						 .header_count = exporter->opts.is_packed ? 2 : 1,
						 .version = HTTP_VERSION_1_1,
						 .tls = {.ca_file = exporter->opts.ca_file}};
	struct weir_group *group = NULL;
	int code = exporter->opts.post ? 0 : http_client_new(&opts, &exporter->client);
	if (!code)
		code = weir_event_new(&exporter->ending);
	if (!code)
		code = weir_group_new(NULL, &group);
	if (!code)
		code = weir_group_spawn(group, hear, exporter, WEIR_FOREVER);
	if (!code)
		code = exporter_send(exporter, exporter->ending);
	if (group) {
		weir_group_cancel(group);
		weir_group_wait(group, WEIR_FOREVER);
	}
	weir_group_free(group);
	weir_event_free(exporter->ending);
	http_client_free(exporter->client);
	return code;
}

/* Where processors are short, items go first.  On Linux that applies to this thread alone. */
static void *run_thread(void *exporter)
{
	setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + NICENESS);
	weir_run(&(struct weir_options){.offload_threads = 1}, run_loop, exporter);
	return NULL;
}

/* ---- life */

int exporter_new(const struct exporter_options *opts, struct exporter **ret_exporter)
{
	static const char *const paths[] = {"/v1/traces", "/v1/metrics"};
	static uint64_t (*const takes[])(struct exporter *, struct buf *, bool *) = {take_traces, take_metrics};
	struct exporter *exporter = calloc(1, sizeof *exporter);
	if (!exporter)
		return WEIR_ENOMEM;
	pthread_mutex_init(&exporter->lock, NULL);
	exporter->opts = *opts;
	exporter->last = &exporter->first;
	exporter->started = unix_time();
	exporter->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	int code = exporter->wake < 0 ? WEIR_EMFILE : 0;
	for (size_t i = 0; i < OTLP_SIGNALS && !code; i++) {
		struct otlp_lane *lane = &exporter->lanes[i];
		*lane = (struct otlp_lane){.exporter = exporter, .take = takes[i]};
		lane->sender.post = post;
		lane->sender.arg = lane;
		code = asprintf(&lane->url, "%s%s", opts->settings->url, paths[i]) < 0 ? WEIR_ENOMEM : 0;
	}
	if (code) {
		exporter_free(exporter);
		return code;
	}
	*ret_exporter = exporter;
	return 0;
}

int exporter_start(struct exporter *exporter, const char *run)
{
	sigset_t all, old;
	snprintf(exporter->run, sizeof exporter->run, "%s", run);
	exporter->opts.names.run = exporter->run;
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	int code = pthread_create(&exporter->thread, NULL, run_thread, exporter);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	exporter->is_started = !code;
	return -code;
}

void exporter_stop(struct exporter *exporter)
{
	if (!exporter->is_started)
		return;
	pthread_mutex_lock(&exporter->lock);
	exporter->is_ending = true;
	pthread_mutex_unlock(&exporter->lock);
	wake(exporter);
	pthread_join(exporter->thread, NULL);
	exporter->is_started = false;
	drop_rest(exporter);
}

void exporter_free(struct exporter *exporter)
{
	if (!exporter)
		return;
	while (exporter->first) {
		struct trace *trace = exporter->first;
		exporter->first = trace->next;
		trace_free(trace);
	}
	for (size_t i = 0; i < OTLP_SIGNALS; i++)
		free(exporter->lanes[i].url);
	buf_fini(&exporter->metrics);
	if (exporter->wake >= 0)
		close(exporter->wake);
	pthread_mutex_destroy(&exporter->lock);
	free(exporter);
}

uint64_t exporter_sent(const struct exporter *exporter, enum otlp_signal signal)
{
	return atomic_load_explicit(&exporter->lanes[signal].sender.sent, memory_order_relaxed);
}

uint64_t exporter_lost(const struct exporter *exporter, enum otlp_signal signal, enum otlp_loss loss)
{
	return atomic_load_explicit(&exporter->lanes[signal].sender.lost[loss], memory_order_relaxed);
}
