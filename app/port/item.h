/* SPDX-License-Identifier: MIT */
/*
 * What flows through a pipeline.
 *
 * An `item` is one job from the source: a JSON value as text, with its account: where it came from, how often it was
 * tried.  The engine creates it, the broker keeps it, one worker at a time holds it.  While it runs through the steps
 * its current form is a list of `value`s: one at first, none or several after a step that drops or multiplies.
 */
#ifndef PORT_ITEM_H
#define PORT_ITEM_H

#include "data/value.h"

#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <weir/base.h>
#include <weir/heap.h>
#include <weir/process.h>

enum fate { FATE_SUCCEEDED, FATE_DROPPED, FATE_DEAD };

/* Where it is in the order of the sink: not in it; others wait for it; it waits for others. */
enum item_turn { TURN_NONE, TURN_AWAITED, TURN_HELD };

#define FATES          (FATE_DEAD + 1)
#define ITEM_WHY_BYTES 256 /* with its NUL */

struct trace;

/* Where an item has been in this process, for its trace; a time that is 0 is not known, or not yet. */
struct item_stay {
	weir_nsec queued; /* since when it waits for its attempt: the broker got it, or the one before has ended */
	weir_nsec begun, ended; /* the last attempt */
};

struct item {
	uint64_t id;       /* the broker's name for it, from put on; never 0, never of another of the run */
	uint64_t number;   /* the id that it was given first, if it was another one; see item_number() */
	uint64_t position; /* in the source: line number from 1, or index */
	unsigned attempts; /* that were used up */
	bool bad;          /* the source found it unusable: why says why; goes to the dead letters */
	bool attempted;    /* an attempt was really made, as far as is known */
	bool returned;     /* it was handed out before, and came back */
	enum fate fate;    /* what became of it, for the broker's ack */
	weir_nsec born;    /* when it was read */
	int64_t class;     /* how urgent it is, 0 is the most; the broker's, by broker_options.class_of */
	struct weir_attempts attempt_state; /* as far as is known; its times are on weir_now()'s clock */
	weir_nsec due;                      /* of a waiting retry: not before; else 0 */
	struct weir_history history;        /* with the gate of an upstream, as far as this run knows */
	struct value source;                /* the JSON value as it came; for a bad line an excerpt of its raw bytes */
	struct value_list outputs;          /* what the steps made of it, once they are through */
	struct weir_heap_node
		waiting;           /* the broker's, while the item waits for its next attempt, or is in line for it */
	STAILQ_ENTRY(item) behind; /* the broker's: in line */
	weir_nsec place;           /* the broker's: its place in line, which it keeps: when it came */
	TAILQ_ENTRY(item) order;   /* the engine's: the order of the sink */
	enum item_turn turn;       /* the engine's */
	size_t pending;            /* the broker's: its place among what is to be stored, from 1; 0: none */
	bool retried;              /* the broker's: it was stored that it came back */
	char *key;                 /* what `key` of the pipeline makes of it; NULL: nothing, or nobody has asked yet */
	char *why;                 /* the last failure: one line; NULL: none.  See item_why() */
	struct trace *trace;       /* what is recorded of it while it is in this process (trace.h); NULL: nothing */
	struct item_stay stay;
	struct value record;   /* what is kept of it for its next attempt, opaque to a broker (engine/memo.h); data is
				* NULL: nothing */
	struct value evidence; /* of a failure that makes a dead letter: a JSON object (letter.h); data is NULL: none */
};

/* The times of an item as ages, for a broker that hands it to another process, whose clock is another one; and back,
 * so long after.  -1: it is not known, or was not yet. */
struct item_ages {
	weir_nsec born, taken, attempted; /* since it was read, first leased, and first really attempted */
};

struct item_ages item_ages_of(const struct item *item);
void item_set_ages(struct item *item, const struct item_ages *ages, weir_nsec after);

/* What its idempotency key is made of: a dead letter that is replayed gets another id and keeps its number, unless its
 * item has changed. */
static inline uint64_t item_number(const struct item *item)
{
	return item->number ? item->number : item->id;
}

struct item *item_new(void); /* zeroed; NULL if out of memory */
void item_free(struct item *item);

/* Cut to ITEM_WHY_BYTES, without control bytes, secrets hidden (secret.h); arguments may be the item's own `why`.
 * Without memory it says that. */
void item_set_why(struct item *item, const char *format, ...) __attribute__((format(printf, 2, 3)));
const char *item_why(const struct item *item); /* never NULL */
void item_forget_why(struct item *item);

#endif
