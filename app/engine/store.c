/* SPDX-License-Identifier: MIT */
#include "engine/store.h"

#include <stdio.h>
#include <sysexits.h>
#include <weir/weir.h>

static const struct weir_backoff backoff = {10 * WEIR_MSEC, WEIR_SEC, WEIR_JITTER_NONE};

enum { TELL_AFTER = 5 }; /* attempts, about 300 ms */

void engine_counts(const struct engine_store *store, struct broker_counts *ret_counts)
{
	*ret_counts = store->last;
	if (store->broker)
		store->ops->queue.counts(store->broker, ret_counts);
}

static bool is_busy(int code)
{
	return code == WEIR_EBUSY || code == WEIR_EAGAIN;
}

/* why: it waits; NULL: it works again. */
static void tell(struct engine_store *store, int at, const char *why)
{
	static const char *const names[] = {
		[OUTLET_SINK] = "sink", [OUTLET_DEAD] = "dead letters", [OUTLETS] = "broker"};
	if (store->told[at] == (why != NULL))
		return;
	store->told[at] = why;
	if (why)
		engine_note(store->life, "%s: %s; trying again until it works", names[at], why);
	else
		engine_note(store->life, "%s: works again", names[at]);
}

/* A full disk has its own words (disk.c). */
static void tell_of_waiting(struct engine_store *store, int place, int code, const struct weir_error *err,
			    unsigned attempts)
{
	int at = place < OUTLETS ? place : OUTLETS;
	if (code >= 0 && attempts)
		tell(store, at, NULL);
	if (is_busy(code) && attempts == TELL_AFTER)
		tell(store, at, err->text);
}

void engine_broker_away(struct engine_store *store, const char *why)
{
	if (*why || store->away[0])
		tell(store, OUTLETS, *why ? why : NULL);
	snprintf(store->away, sizeof store->away, "%s", why);
}

bool engine_again(struct engine_store *store, int place, int code, const struct weir_error *err, unsigned *attempts)
{
	enum engine_state state = store->life->state;
	bool full = code == WEIR_ENOSPC;
	store->full[place] = full;
	tell_of_waiting(store, place, code, err, *attempts);
	if (!full && !is_busy(code))
		return false;
	++*attempts;
	if (state == ENGINE_FAILED || (full && state == ENGINE_DRAINING))
		return false;
	return !weir_sleep(weir_backoff_wait(&backoff, *attempts, 0, NULL));
}

/* Items have one place in a list: order.h uses it for brokers that are not shared. */
static void hold(struct engine_store *store, struct item *item)
{
	if (!store->ops->fleet)
		return;
	TAILQ_INSERT_TAIL(&store->held, item, order);
	store->held_count++;
}

static void let_go(struct engine_store *store, struct item *item)
{
	if (!store->ops->fleet || !item->order.tqe_prev)
		return;
	TAILQ_REMOVE(&store->held, item, order);
	item->order.tqe_prev = NULL;
	store->held_count--;
}

int engine_lease(struct engine_store *store, struct item **ret_item, weir_nsec deadline)
{
	struct weir_error err;
	unsigned attempts = 0;
	int code;
	do {
		err = (struct weir_error){0};
		code = store->ops->queue.lease(store->broker, ret_item, 1, &err, deadline);
	} while (code == WEIR_EBUSY && engine_again(store, PLACE_LEASES, code, &err, &attempts));
	if (code < 0 && err.code && !weir_canceled())
		engine_fail(store->life, engine_exit_of(code), &err);
	if (code > 0)
		hold(store, *ret_item);
	return code;
}

static bool is_held(const struct engine_store *store, const struct item *item)
{
	return !store->ops->queue.holds || store->ops->queue.holds(store->broker, item);
}

bool engine_holds(struct engine_store *store, struct item *item)
{
	if (is_held(store, item))
		return true;
	let_go(store, item);
	tracer_left(store->life->opts.tracer, tracer_leave(store->life->opts.tracer, item), false);
	item_free(item);
	return false;
}

/* Shielded: an item's account is settled even when its output was cancelled meanwhile.  What is counted is noted before
 * the broker frees the items, and counted when it has them stored: others count while this waits. */
int engine_settle(struct engine_store *store, struct item *const *items, size_t n, enum broker_outlet which,
		  const struct value *position, struct weir_error *err)
{
	uint64_t of_fate[FATES] = {0};
	weir_nsec now = weir_clock();
	for (size_t i = 0; i < n; i++) {
		of_fate[items[i]->fate]++;
		weir_histogram_record(store->item_ns, now - items[i]->born);
		let_go(store, items[i]);
	}
	struct trace *traces = tracer_settle(store->life->opts.tracer, items, n, now);
	weir_shield_enter();
	int code = store->ops->queue.ack(store->broker, items, n, which, position, err, WEIR_FOREVER);
	weir_shield_leave();
	if (!code)
		tracer_settled(store->life->opts.tracer, traces);
	weir_histogram_record(store->ack_ns, weir_clock() - now);
	for (int fate = 0; fate < FATES && !code; fate++)
		broker_count(&store->mine, (enum fate)fate, of_fate[fate]);
	return code;
}

/* ---- one item, patiently */

enum handing { NACK, BURY, EXTEND };

static int hand_once(struct engine_store *store, struct item *item, enum handing how, weir_nsec due,
		     struct weir_error *err)
{
	const struct queue_ops *queue = &store->ops->queue;
	switch (how) {
	case NACK:
		return queue->nack(store->broker, item, due - weir_now(), err, WEIR_FOREVER);
	case BURY:
		return queue->bury(store->broker, item, err, WEIR_FOREVER);
	case EXTEND:
		break;
	}
	return queue->extend ? queue->extend(store->broker, item, err, WEIR_FOREVER) : 0;
}

/* What is only noted waits for no room: an item that goes on is what makes some. */
static bool may_wait(enum handing how, int code)
{
	return how != EXTEND || (code != WEIR_ENOSPC && code != WEIR_ENOMEM);
}

/* An item that cannot be handed over is left to its lease: when this process is gone, it is there again. */
static bool hand_over(struct engine_store *store, struct item *item, enum handing how, weir_nsec due)
{
	struct weir_error err = {0};
	unsigned attempts = 0;
	int code;
	if (how != EXTEND)
		let_go(store, item);
	do {
		weir_shield_enter();
		code = hand_once(store, item, how, due, &err);
		weir_shield_leave();
	} while (may_wait(how, code) && engine_again(store, PLACE_ACKS, code, &err, &attempts));
	if (!code || !may_wait(how, code))
		return true;
	if (!weir_canceled())
		engine_fail(store->life, engine_exit_of(code), &err);
	if (how != EXTEND) {
		reorder_remove(store->reorder, item);
		item_free(item);
	}
	return false;
}

void engine_keep_letter(struct engine_store *store, struct item *item)
{
	weir_nsec now = weir_clock(), age = now - item->born;
	value_list_fini(&item->outputs);
	value_fini(&item->record);
	item->fate = FATE_DEAD;
	struct trace *trace = tracer_settle(store->life->opts.tracer, &item, 1, now);
	if (!hand_over(store, item, BURY, 0)) {
		tracer_left(store->life->opts.tracer, trace, false);
		return;
	}
	tracer_settled(store->life->opts.tracer, trace);
	weir_histogram_record(store->item_ns, age);
	broker_count(&store->mine, FATE_DEAD, 1);
}

void engine_postpone(struct engine_store *store, struct item *item, weir_nsec due)
{
	value_list_fini(&item->outputs);
	value_fini(&item->evidence);
	struct tracer *tracer = store->life->opts.tracer;
	struct trace *trace = tracer_leave(tracer, item);
	bool is_ours = is_held(store, item);
	bool is_taken = hand_over(store, item, NACK, due);
	tracer_left(tracer, trace, is_ours && is_taken);
}

void engine_give_back(struct engine_store *store, struct item *item)
{
	engine_postpone(store, item, weir_now());
}

bool engine_extend(struct engine_store *store, struct item *item)
{
	hand_over(store, item, EXTEND, 0);
	return is_held(store, item);
}
