/* SPDX-License-Identifier: MIT */
/* An exporter whose receiver is down, slow, busy, or talks nonsense: who gives it traces never waits, and all are
 * counted.  On the virtual clock; and with its thread, for those who look for races. */
#include "otlp/exporter.h"
#include "support/test.h"
#include "unit/fibers.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <weir/weir.h>

static const struct otlp_settings settings = {.url = "http://127.0.0.1:1"};

/* ---- a receiver */

static struct {
	int status;             /* 0: it does not answer */
	weir_nsec takes, pause; /* pause: its Retry-After */
	const char *body;
	int busy; /* so often it says 429 first */
	int posts;
	int niceness; /* of the thread that asks it */
} receiver;

static int answer(void *arg, enum otlp_signal signal, const struct buf *body, struct otlp_answer *ret_answer)
{
	(void)arg;
	ck_assert(body->len && body->data[0] == '{');
	ck_assert_ptr_nonnull(strstr(body->data, signal == OTLP_TRACES ? "resourceSpans" : "resourceMetrics"));
	receiver.posts++;
	receiver.niceness = getpriority(PRIO_PROCESS, 0);
	if (receiver.takes && weir_sleep(receiver.takes))
		return WEIR_ECANCELED;
	if (!receiver.status)
		return WEIR_EIO;
	bool is_busy = receiver.busy-- > 0;
	*ret_answer = (struct otlp_answer){.status = is_busy ? 429 : receiver.status,
					   .retry_after = is_busy ? receiver.pause : 0,
					   .body = receiver.body,
					   .body_bytes = receiver.body ? strlen(receiver.body) : 0};
	return 0;
}

static struct exporter *new_exporter(void)
{
	const struct exporter_options opts = {
		.settings = &settings,
		.names = {.resource = "{\"attributes\":[]}", .run = "r", .pipeline = "p", .broker = "memory"},
		.post = answer,
	};
	struct exporter *exporter;
	ck_assert_int_eq(exporter_new(&opts, &exporter), 0);
	return exporter;
}

/* With two spans: of the item, and an attempt of it. */
enum { SPANS = 2 };

static void put(struct exporter *exporter)
{
	struct trace *trace = calloc(1, sizeof *trace);
	trace->spans = calloc(1, sizeof *trace->spans);
	trace->spans[0] = (struct trace_span){.kind = TRACE_ATTEMPT, .id = 2, .parent = 1, .begun = 1, .ended = 2};
	trace->n = trace->room = 1;
	trace->id = (struct trace_id){1, 1};
	trace->root = trace->born = trace->settled = 1;
	exporter_put_trace(exporter, trace);
}

static uint64_t lost(const struct exporter *exporter, enum otlp_loss loss)
{
	return exporter_lost(exporter, OTLP_TRACES, loss);
}

static uint64_t counted(const struct exporter *exporter)
{
	uint64_t n = exporter_sent(exporter, OTLP_TRACES);
	for (enum otlp_loss loss = 0; loss < OTLP_LOSS_KINDS; loss++)
		n += lost(exporter, loss);
	return n;
}

/* ---- on the virtual clock */

struct sending {
	struct exporter *exporter;
	struct weir_event *ending;
	weir_nsec ended;
};

static int send_all(void *arg)
{
	struct sending *sending = arg;
	exporter_send(sending->exporter, sending->ending);
	sending->ended = weir_now();
	return 0;
}

/* Puts so many traces a second for a time; returns the exporter after its end, with all of them counted. */
static struct exporter *run_for(int seconds, int per_second)
{
	struct sending sending = {.exporter = new_exporter()};
	struct weir_group *group = new_group();
	ck_assert_int_eq(weir_event_new(&sending.ending), 0);
	spawn(group, send_all, &sending);
	for (int i = 0; i < seconds; i++) {
		weir_nsec begun = weir_now();
		for (int j = 0; j < per_second; j++)
			put(sending.exporter);
		ck_assert_int_eq(weir_now(), begun);
		weir_sleep(WEIR_SEC);
	}
	weir_nsec ending = weir_now();
	weir_event_set(sending.ending);
	finish(group);
	ck_assert_int_le(sending.ended - ending, EXPORTER_FLUSH);
	weir_event_free(sending.ending);
	ck_assert_uint_eq(counted(sending.exporter), (uint64_t)SPANS * (uint64_t)seconds * (uint64_t)per_second);
	return sending.exporter;
}

FIBER_TEST(otlp_sends_all_to_a_receiver_that_is_well)
{
	memset(&receiver, 0, sizeof receiver);
	receiver.status = 200;
	struct exporter *exporter = run_for(20, 300);
	ck_assert_uint_eq(exporter_sent(exporter, OTLP_TRACES), SPANS * 20 * 300);
	ck_assert_int_le(receiver.posts, 2 * 21);
	exporter_free(exporter);
}

FIBER_TEST(otlp_counts_what_a_receiver_that_is_down_does_not_get)
{
	memset(&receiver, 0, sizeof receiver);
	struct exporter *exporter = run_for(150, 100);
	ck_assert_uint_eq(exporter_sent(exporter, OTLP_TRACES), 0);
	ck_assert_uint_gt(lost(exporter, OTLP_LOST_UNANSWERED), 0);
	ck_assert_uint_gt(lost(exporter, OTLP_LOST_QUEUE), 0);
	ck_assert_uint_gt(lost(exporter, OTLP_LOST_END), 0);
	exporter_free(exporter);
}

FIBER_TEST(otlp_drops_what_a_slow_receiver_has_no_time_for)
{
	memset(&receiver, 0, sizeof receiver);
	receiver.status = 200;
	receiver.takes = 5 * WEIR_SEC;
	struct exporter *exporter = run_for(100, 200);
	ck_assert_uint_ge(exporter_sent(exporter, OTLP_TRACES), 15 * 256 * SPANS);
	ck_assert_uint_gt(lost(exporter, OTLP_LOST_QUEUE), 0);
	ck_assert_uint_gt(lost(exporter, OTLP_LOST_END), 0);
	exporter_free(exporter);
}

FIBER_TEST(otlp_sends_all_after_the_pause_that_a_busy_receiver_asks_for)
{
	memset(&receiver, 0, sizeof receiver);
	receiver.status = 200;
	receiver.busy = 3;
	receiver.pause = 10 * WEIR_SEC;
	struct exporter *exporter = run_for(60, 100);
	ck_assert_uint_eq(exporter_sent(exporter, OTLP_TRACES), SPANS * 60 * 100);
	exporter_free(exporter);
}

FIBER_TEST(otlp_counts_what_a_receiver_refuses_or_takes_in_part)
{
	memset(&receiver, 0, sizeof receiver);
	receiver.status = 200;
	receiver.body = "<html>what?";
	struct exporter *exporter = run_for(5, 10);
	ck_assert_uint_eq(exporter_sent(exporter, OTLP_TRACES), SPANS * 50);
	exporter_free(exporter);
	receiver.body = "{\"partialSuccess\":{\"rejectedSpans\":\"3\"}}";
	exporter = run_for(5, 10);
	ck_assert_uint_gt(lost(exporter, OTLP_LOST_PARTIAL), 0);
	ck_assert_uint_eq(lost(exporter, OTLP_LOST_PARTIAL) % 3, 0);
	exporter_free(exporter);
	receiver.status = 400;
	exporter = run_for(5, 10);
	ck_assert_uint_eq(lost(exporter, OTLP_LOST_REFUSED), SPANS * 50);
	exporter_free(exporter);
}

/* ---- with its thread */

static void *take_figures(void *exporter)
{
	uint64_t n = 0;
	while (n < (uint64_t)SPANS * 20000)
		n = counted(exporter);
	return NULL;
}

TEST(otlp_thread_takes_what_another_puts)
{
	static const struct weir_metric_def def = {"a_total", "A.", WEIR_COUNTER, {0}, 0};
	struct weir_metric *metric;
	struct weir_metrics *metrics;
	pthread_t reader;
	struct exporter *exporter = new_exporter();
	memset(&receiver, 0, sizeof receiver);
	receiver.status = 200;
	receiver.body = "{\"partialSuccess\":{\"rejectedSpans\":1}}";
	ck_assert_int_eq(weir_metrics_new(&metrics), 0);
	ck_assert_int_eq(weir_metrics_add(metrics, &def, 1, &metric), 0);
	ck_assert_int_eq(exporter_start(exporter, "0123456789abcdef0123456789abcdef"), 0);
	ck_assert_int_eq(pthread_create(&reader, NULL, take_figures, exporter), 0);
	for (int i = 0; i < 20000; i++) {
		put(exporter);
		if (i % 1000 == 0)
			exporter_put_metrics(exporter, metrics);
	}
	exporter_stop(exporter);
	pthread_join(reader, NULL);
	ck_assert_uint_eq(counted(exporter), SPANS * 20000);
	ck_assert_uint_gt(exporter_sent(exporter, OTLP_TRACES), 0);
	ck_assert_uint_gt(exporter_lost(exporter, OTLP_METRICS, OTLP_LOST_PARTIAL), 0); /* its only point */
	int own = getpriority(PRIO_PROCESS, 0);
	ck_assert_int_eq(receiver.niceness, own < 10 ? own + 10 : 19);
	exporter_free(exporter);
	weir_metrics_free(metrics);
}
