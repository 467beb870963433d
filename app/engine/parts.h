/* SPDX-License-Identifier: MIT */
/*
 * The smaller parts of the engine.  A file that is about one of them is given that one and knows nothing of the others;
 * internal.h puts them together.
 */
#ifndef ENGINE_PARTS_H
#define ENGINE_PARTS_H

#include "engine/life.h"
#include "engine/store.h"

#include <weir/process.h>

/* ---- memory.c: flow.max_memory */

struct engine_memory {
	uint64_t most, base, used; /* bytes: allowed, at the beginning, now */
	size_t room;               /* items that may be under way; SIZE_MAX: any number */
	size_t ended;              /* items since the room was changed: what those take is known */
	bool full;                 /* it was too much once */
};

/* The items that are in hand. */
struct engine_load {
	size_t under_way;   /* leased and in the hands of weir_process() */
	uint64_t in_flight; /* of them: in the steps */
	uint64_t in_local;  /* of them: in a step that calls no upstream */
	size_t in_hand;     /* through the steps, and not in an output yet */
	bool starving;      /* the next one is asked for, and has not come */
	weir_nsec starved;  /* how long it was so, in all */
	struct engine_memory memory;
	struct weir_event *has_room; /* there may be room again */
};

/* Bytes that the process and its children hold; and how many items may be under way with so many in use. */
uint64_t engine_memory_bytes(void);
void engine_memory_begin(struct engine_memory *memory, uint64_t most);
void engine_memory_look(struct engine_memory *memory, size_t under_way, uint64_t used);
int engine_watch_memory(void *load); /* a fiber */

/* Room for bytes in a queue: less where memory is short. */
static inline size_t engine_queue_bytes(const struct plan *plan, size_t bytes)
{
	uint64_t most = plan->settings.max_memory / 8;
	return most && most < bytes ? (size_t)most : bytes;
}

/* ---- classes.c: those of flow.priority.sla */

struct engine_classes {
	struct engine_class *all;
	size_t n;
	weir_nsec latest; /* when it was read: of those that have begun, the one that came last */
};

int engine_classes_open(struct engine_classes *classes, const struct key_times *sla); /* WEIR_ENOMEM */
void engine_classes_free(struct engine_classes *classes);
/* An item begins its first attempt, after so long. */
void engine_class_begins(struct engine_classes *classes, const struct item *item, weir_nsec waited);

/* ---- causes.c: what items die of */

enum { ENGINE_CAUSES = 32 };

struct engine_causes {
	struct engine_cause all[ENGINE_CAUSES];
	size_t n;
};

void engine_cause_count(struct engine_causes *causes, const struct item *item);

/* ---- stop_when.c: items that are through the steps */

struct engine_left {
	struct engine_life *life;
	uint64_t items, row; /* row: dead ones since the last that was not */
	uint64_t first_dead, last_dead;
	uint64_t *ring; /* of the last ones, a bit each: whether it is dead; NULL: they are not looked at */
};

int engine_left_open(struct engine_left *left, struct engine_life *life); /* WEIR_ENOMEM */
void engine_left_free(struct engine_left *left);
void engine_left(struct engine_left *left, bool is_dead);
/* Whether this is a reason for which a run was ended here, or by another worker. */
bool engine_is_giving_up(const char *reason);
/* Whether an upstream has denied all calls for too long (flow->denied_since). */
void engine_denied(const struct engine_left *left, const struct engine_flow *flow);

/* ---- upstreams.c: what is known of the upstreams, and what flow.rate has let through.  NULL is fine everywhere: there
 * is no state folder. */

struct upstreams;

int engine_upstreams_open(const struct engine_life *life, struct upstreams **ret_upstreams); /* reads; WEIR_ENOMEM */
void engine_upstreams_recall(struct upstreams *upstreams, struct weir_policy *policy);       /* tells the policy */
void engine_upstreams_wanted(void *upstreams);                                               /* what a policy calls */
int engine_keep_upstreams(void *upstreams);                                                  /* a fiber */
void engine_upstreams_write(struct upstreams *upstreams);                                    /* in the end */
void engine_upstreams_free(struct upstreams *upstreams);

/* ---- what was announced to people */

enum engine_trouble { TROUBLE_IS_NONE, TROUBLE_IS_SHUT, TROUBLE_IS_DOWN, TROUBLE_IS_DENIED };

struct engine_announced {
	enum engine_trouble trouble;  /* what the last note about it said */
	char full[ENGINE_DISK_BYTES]; /* the file that a note has named; empty: none */
};

/* say.c: fills in flow->trouble; makes a note of it when that is news. */
void engine_say(const struct engine_life *life, struct engine_flow *flow);
void engine_tell_trouble(const struct engine_life *life, struct engine_announced *announced,
			 const struct engine_flow *flow);

/* ---- columns.c: those that no row has filled, most often for a typing error */

struct engine_columns {
	const struct key_strings *names; /* borrowed; NULL: there are none */
	bool *filled;
	size_t empty; /* so many are not */
	uint64_t rows;
};

int engine_columns_open(struct engine_columns *columns, const struct key_strings *names); /* WEIR_ENOMEM */
void engine_columns_free(struct engine_columns *columns);
/* The outputs of an item are going to be rows. */
void engine_columns_look(struct engine_columns *columns, const struct item *item);
void engine_columns_tell(const struct engine_columns *columns, const struct engine_life *life);

/* ---- evidence.c: what explains an item's death, if it dies now: `where` is JSON, a step's number (from 1), "source"
 * or "sink"; pairs as the step wrote them, or NULL.  Of a sink: the rows that it did not take. */
void engine_set_evidence(struct item *item, const char *where, const char *kind, const struct buf *pairs);
void engine_set_row_evidence(struct item *item, const char *kind);

/* ---- fields.c: how urgent an item is, and its ordering key; 0: none. */
int64_t engine_class_of(const struct plan *plan, const struct item *item);
uint64_t engine_ordering_key(const struct plan *plan, uint64_t seed, const struct item *item);

/* Fills item->key, unless the pipeline has no `key`.  WEIR_EDATA with item->why when the item has no such value, or
 * none that can be a key; WEIR_ENOMEM. */
int engine_make_key(const struct plan *plan, struct item *item);

#endif
