/* SPDX-License-Identifier: MIT */
/*
 * Sends requests to an OTLP receiver, one after the other, as its specification says: what answers 429, 502, 503 or
 * 504, or does not answer, is asked again, after Retry-After or a backoff; any other failure is final.  After a minute
 * a request is given up.
 *
 * What is sent and what is lost is counted, in spans or points; any thread may read that.
 */
#ifndef OTLP_SENDER_H
#define OTLP_SENDER_H

#include <stdatomic.h>
#include <weir/event.h>

struct buf;

/* Why something did not arrive. */
#define OTLP_LOSSES(X)                                                                                                 \
	X(OTLP_LOST_QUEUE, "queue full")     /* what came was more than is sent */                                     \
	X(OTLP_LOST_REFUSED, "refused")      /* an answer that is final */                                             \
	X(OTLP_LOST_PARTIAL, "partial")      /* a good answer that says so */                                          \
	X(OTLP_LOST_UNANSWERED, "no answer") /* for a minute */                                                        \
	X(OTLP_LOST_END, "end of run")       /* there was no time left */                                              \
	X(OTLP_LOST_MEMORY, "memory")

enum otlp_loss {
#define OTLP_X(name, text) name,
	OTLP_LOSSES(OTLP_X)
#undef OTLP_X
		OTLP_LOSS_KINDS
};
const char *otlp_loss_name(enum otlp_loss loss);

struct otlp_answer {
	int status;
	weir_nsec retry_after; /* as stated; 0: it was not */
	const char *body;      /* NULL: none; valid until the next post */
	size_t body_bytes;
};

struct otlp_sender {
	/* One request: 0 with its answer; a negative code: there was none.  Suspends. */
	int (*post)(void *arg, const struct buf *body, struct otlp_answer *ret_answer);
	void *arg;
	struct weir_event *ending; /* once it is set nothing is waited for, and nothing is tried again but once */
	_Atomic uint64_t sent, lost[OTLP_LOSS_KINDS];
};

/* A request with n spans or points.  Suspends. */
void otlp_send(struct otlp_sender *sender, const struct buf *body, uint64_t n);

/* Counts so many that are lost otherwise. */
void otlp_lose(struct otlp_sender *sender, enum otlp_loss loss, uint64_t n);

#endif
