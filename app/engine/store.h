/* SPDX-License-Identifier: MIT */
/*
 * The run's broker as the engine uses it: patiently.  What a full disk or a busy store refuses is tried again, for as
 * long as it takes; a run that was stopped does not wait for room: what could not be written stays in the broker.
 */
#ifndef ENGINE_STORE_H
#define ENGINE_STORE_H

#include "engine/life.h"
#include "engine/reorder.h"
#include "port/broker.h"

#include <weir/histogram.h>

/* Where something can be full or busy: the sinks of the outputs; and the broker, as the intake, the workers and the
 * outputs' acks see it. */
enum engine_place { PLACE_INTAKE = OUTLETS, PLACE_LEASES, PLACE_ACKS, PLACES };

struct engine_store {
	struct engine_life *life;
	const struct broker_ops *ops;
	struct broker *broker;       /* NULL: it is not open yet, or closed */
	char owner[33];              /* of the leases */
	struct broker_counts last;   /* before it was closed */
	struct broker_accounts mine; /* what this process has done; all the rest is the broker's to know */
	TAILQ_HEAD(engine_held, item)
	held; /* of a broker with others at it: what others do not get meanwhile, as it
	       * came */
	size_t held_count;
	bool full[PLACES];              /* a disk is: that of an output's sink, or the broker's */
	bool told[OUTLETS + 1];         /* that an output's sink, or the broker, is waited for */
	char away[200];                 /* why the broker does not answer; empty: it does */
	struct weir_histogram *item_ns; /* from read to commit */
	struct weir_histogram *ack_ns;  /* one commit of what became of a batch */
	struct weir_histogram *trip_ns; /* one round trip to the broker */
	struct reorder *reorder;        /* in which items may be that end here; NULL */
};

/* What is inside; of a broker that is closed what was at its end. */
void engine_counts(const struct engine_store *store, struct broker_counts *ret_counts);

/* Whether to try again what was answered with `code`: it says that a disk is full or something busy, and a pause has
 * passed, which grows from 10 ms to a second (*attempts is 0 at first).  place: an output, or an enum engine_place.
 * If that takes long, a note says why (err->text), and another one when it works again.  Suspends.
 */
bool engine_again(struct engine_store *store, int place, int code, const struct weir_error *err, unsigned *attempts);

/* The broker does not answer, for this reason; "": it does.  A note says so, once. */
void engine_broker_away(struct engine_store *store, const char *why);

/* The next item: 1; or a negative code, the run has failed if it is not the end or a deadline.  Suspends. */
int engine_lease(struct engine_store *store, struct item **ret_item, weir_nsec deadline);

/* Whether the item may still be worked on here; if not, it is freed. */
bool engine_holds(struct engine_store *store, struct item *item);

/* Became of these items what their fate says: acks and frees them; their sink stands there now (NULL: as before).  A
 * negative code with err when the broker could not take it: then they are still the caller's. */
int engine_settle(struct engine_store *store, struct item *const *items, size_t n, enum broker_outlet which,
		  const struct value *position, struct weir_error *err);

/* These end with an item; a broker that cannot take it fails the run.  It is a dead letter that the broker keeps; will
 * be tried again at `due`; is not finished in this run. */
void engine_keep_letter(struct engine_store *store, struct item *item);
void engine_postpone(struct engine_store *store, struct item *item, weir_nsec due);
void engine_give_back(struct engine_store *store, struct item *item);

/* The item stays here, and its attempts and its record are stored, unless there is no room for them: then they are with
 * the next, and meanwhile a kill forgets them.  false: it is another process' item by now. */
bool engine_extend(struct engine_store *store, struct item *item);

#endif
