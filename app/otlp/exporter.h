/* SPDX-License-Identifier: MIT */
/*
 * Sends the traces and metrics of a run to an OTLP receiver (sender.h), from a thread with a loop of its own: encoding,
 * packing and a receiver that is slow or gone cost the run nothing.
 *
 * Traces wait in a queue of EXPORTER_TRACES_MOST; more are dropped and counted.  They are sent each second, or sooner
 * when the queue is half full.  Of metrics the newest wait.
 */
#ifndef OTLP_EXPORTER_H
#define OTLP_EXPORTER_H

#include "otlp/encode.h"
#include "otlp/sender.h"
#include "otlp/settings.h"

enum { EXPORTER_TRACES_MOST = 8192 };

#define EXPORTER_FLUSH (3 * WEIR_SEC) /* most that the end of a run waits for */

enum otlp_signal { OTLP_TRACES, OTLP_METRICS, OTLP_SIGNALS };

struct exporter;
struct weir_event;

struct exporter_options {
	const struct otlp_settings *settings; /* with a URL */
	bool is_packed;                       /* gzip */
	const char *ca_file;                  /* certificates to trust; NULL: the system's */
	struct otlp_names names; /* its resource is that of the settings; the run may be NULL until the start */

	/* A request, as otlp_sender.post; NULL: over HTTP. */
	int (*post)(void *arg, enum otlp_signal signal, const struct buf *body, struct otlp_answer *ret_answer);
	void *arg;
};

/* All of the options is borrowed for its life.  Traces are taken from here on.  WEIR_ENOMEM, WEIR_EMFILE. */
int exporter_new(const struct exporter_options *opts, struct exporter **ret_exporter);
/* After exporter_stop(), or without a start: what is left is dropped.  NULL is fine. */
void exporter_free(struct exporter *exporter);

/* Starts the thread, in which all signals are blocked.  What the system says. */
int exporter_start(struct exporter *exporter, const char *run);

/* What the thread does, on the loop of this fiber: sends until *ending is set, and then for EXPORTER_FLUSH at most;
 * what is left is dropped.  Suspends. */
int exporter_send(struct exporter *exporter, struct weir_event *ending);

/* Take a trace over (tracer_options.take), or a picture of the metrics: from one thread.  Neither waits. */
void exporter_put_trace(void *exporter, struct trace *trace);
void exporter_put_metrics(struct exporter *exporter, const struct weir_metrics *metrics);

/* Sends what there is, for EXPORTER_FLUSH at most, and ends the thread.  Blocks; without a start it does nothing. */
void exporter_stop(struct exporter *exporter);

/* Spans and points; by loss (enum otlp_loss).  From any thread. */
uint64_t exporter_sent(const struct exporter *exporter, enum otlp_signal signal);
uint64_t exporter_lost(const struct exporter *exporter, enum otlp_signal signal, enum otlp_loss loss);

#endif
