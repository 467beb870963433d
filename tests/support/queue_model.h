/* SPDX-License-Identifier: MIT */
/*
 * A queue, naively: the oracle of what libweir's does.
 *
 * It keeps its waiters in plain arrays and decides at once who gets what, so that each call is foretold before it is
 * made: by a function here, whose answer is that of the call, or OPEN if the call has to wait; then `foretold` of the
 * worker gets the answer in time.  Of deadlines it learns by looking at the (virtual) clock, because all timers that
 * are due fire before any fiber runs: model_prune() before each look at it.
 */
#ifndef SUPPORT_QUEUE_MODEL_H
#define SUPPORT_QUEUE_MODEL_H

#include <weir/queue.h>

enum { MODEL_WORKERS = 16, MODEL_ITEMS = 1024, MODEL_CLASSES = 3, MODEL_AGING = 10 };

enum { OPEN = 1000 };

struct model_worker {
	weir_nsec deadline, since;
	int foretold;
	uint64_t item; /* that it puts, or was given */
	int64_t rank;
	bool canceled;
	bool selecting; /* it stands in the lines of getters and putters at once */
	bool puts_first;
	bool has_put; /* the select that was won was its put */
};

struct model_line {
	struct model_worker *workers[MODEL_WORKERS];
	size_t n;
};

struct model_entry {
	uint64_t item, seq;
	int64_t key;
	unsigned class;
	weir_nsec entered, got_at;
};

struct model_times {
	uint64_t n, total;
	weir_nsec most;
};

struct model_class {
	uint64_t got, overtook, breaches;
	struct model_times waits, tasks;
};

struct queue_model {
	struct weir_queue_options options; /* its aging is MODEL_AGING, its classes MODEL_CLASSES */
	size_t capacity;                   /* SIZE_MAX if unbounded */
	size_t n, n_in_hand;
	uint64_t next_seq;
	size_t unsettled, put, got, dropped;
	struct model_class classes[MODEL_CLASSES];
	struct model_times puts, gets; /* waits */
	bool closed;
	struct model_line getters, putters, joiners;
	struct model_entry items[MODEL_ITEMS], in_hand[MODEL_ITEMS]; /* as they came, and as they were got */
};

void model_init(struct queue_model *model, const struct weir_queue_options *opts);

/* Those whose deadline has passed are no longer in line. */
void model_prune(struct queue_model *model);

bool model_has_place(const struct queue_model *model);
bool model_has_classes(const struct queue_model *model);
bool model_is_timed(const struct queue_model *model); /* waits are counted */

int model_put(struct queue_model *model, struct model_worker *worker);
int model_get(struct queue_model *model, struct model_worker *worker);
int model_select(struct queue_model *model, struct model_worker *worker); /* of a put and a get */
int model_join(struct queue_model *model, struct model_worker *worker);

void model_settle(struct queue_model *model); /* an item that was got */
size_t model_close(struct queue_model *model, bool drop);
void model_resize(struct queue_model *model, size_t capacity);
void model_cancel(struct queue_model *model, struct model_worker *worker);

/* The wait of a worker is over and its fiber runs. */
void model_count_wait(struct model_times *times, const struct model_worker *worker);

#endif
