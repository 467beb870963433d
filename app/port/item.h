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

#include <stdbool.h>
#include <stdint.h>
#include <weir/base.h>
#include <weir/heap.h>

/* Bytes on the heap, owned by who holds the struct; data ends with a NUL that is not counted. */
struct value {
	char *data;
	size_t len;
};

struct value_list {
	struct value *values;
	size_t n, room;
};

/* Takes value->data over, also on failure (WEIR_ENOMEM, then it is freed); *value is zeroed. */
int value_list_take(struct value_list *list, struct value *value);
void value_list_fini(struct value_list *list); /* frees the values, too; may be used again */
void value_fini(struct value *value);
int value_copy(struct value *ret_value, const void *bytes, size_t n); /* WEIR_ENOMEM */

enum fate { FATE_SUCCEEDED, FATE_DROPPED, FATE_DEAD };

#define FATES (FATE_DEAD + 1)

struct item {
	uint64_t id;               /* the broker's name for it; never 0, never used twice in a run */
	uint64_t position;         /* in the source: line number from 1, or index */
	unsigned attempts;         /* that were used up */
	bool bad;                  /* the source found it unusable: why says why; goes to the dead letters */
	enum fate fate;            /* what became of it, for the broker's ack */
	weir_nsec born;            /* when it was read */
	int64_t class;             /* how urgent it is, 0 is the most; the broker's, by broker_options.class_of */
	weir_nsec taken, tried;    /* when it was first leased, and first really tried, on weir_now()'s clock; 0: not
				    * yet, as far as this run knows */
	weir_nsec due;             /* of a waiting retry: not before; else 0 */
	struct value source;       /* the JSON value as it came; for a bad line an excerpt of its raw bytes */
	struct value_list outputs; /* what the steps made of it, once they are through */
	struct weir_heap_node waiting; /* the broker's, while the item waits for its next attempt */
	size_t pending;                /* the broker's: its place among what is to be stored, from 1; 0: none */
	bool retried;                  /* the broker's: it was stored that it came back */
	char why[256];                 /* the last failure: one line, empty if none */
};

struct item *item_new(void); /* zeroed; NULL if out of memory */
void item_free(struct item *item);
void item_set_why(struct item *item, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
