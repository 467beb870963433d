/* SPDX-License-Identifier: MIT */
/*
 * What the files of the sqlite broker share.
 *
 *     put --> commit --.--> ready --> lease --> leased --> ack, bury --> commit --> gone
 *                      |     ^  ^                 |
 *       no room in the |     |  '---- waiting <---'--- nack --> commit
 *       window, or     |     |
 *       older ones     '--> backlog (on disk alone), read back by the feeder
 *       not loaded
 *
 * Ready, leased, waiting, and the dead letters that are not written yet, are the window: in memory, bounded.
 *
 * broker.c is the port, put.c what comes in, committer.c writes (transaction.c: on the thread), feeder.c reads back,
 * letters.c is about dead letters; durable.c is what they all stand on.  The store is touched on the pool's one thread
 * only, everything else on the loop only; what a call on the thread is given is not changed on the loop until it has
 * returned.
 */
#ifndef BROKER_DURABLE_H
#define BROKER_DURABLE_H

#include "memory/line.h"
#include "port/broker.h"
#include "sqlite/broker/broker.h"
#include "sqlite/store/store.h"

#include <weir/weir.h>

/* A chunk that is stored, and not in memory. */
struct broker_chunk {
	uint64_t id;
	uint32_t bytes; /* of the sources of what is left, roughly */
	uint16_t left;  /* items that are neither settled nor in memory */
};

/* The chunks that are not loaded, by id: chunks[first] is the next. */
struct broker_backlog {
	struct broker_chunk *chunks;
	size_t first, n, room; /* the chunks end at first + n */
	size_t reserved;       /* places for the puts that are being written */
	uint64_t items;        /* in all of them */
	uint64_t after;        /* the first chunk is in memory up to this id; 0: nothing of it */
};

enum broker_request_kind { REQUEST_PUT, REQUEST_ACK, REQUEST_SEAL, REQUEST_FLUSH };

/* What a fiber waits for to be written; on its stack. */
struct broker_request {
	enum broker_request_kind kind;
	struct item *const *items;
	size_t n;
	const struct source_cursor *cursor; /* of a put */
	enum broker_outlet outlet;          /* of an ack */
	const struct value *position;       /* of an ack, or NULL */
	uint64_t chunk;                     /* of a put, once it is written: the first of its chunks */
	bool done;
	int code; /* once it is done; err says more */
	struct weir_error err;
	STAILQ_ENTRY(broker_request) others;
};

/* A list of items with room for the whole window, so that adding cannot fail. */
struct broker_items {
	struct item **items;
	size_t n;
};

/* What is to be written, and what is being written. */
struct broker_committer {
	struct weir_event *work;    /* something has come that changes when the next commit is due */
	struct weir_event *settled; /* set and cleared at the end of a commit */
	STAILQ_HEAD(broker_requests, broker_request) requests;
	struct broker_items retries; /* their state as it is when the commit begins; item->pending - 1 is the place */
	struct broker_items dead;
	weir_nsec since;      /* the first of retries and dead came */
	weir_nsec not_before; /* after a commit for which there was no room */
	unsigned refused;     /* such commits in a row */

	struct broker_requests writing;
	struct broker_items retries_writing, dead_writing;
	struct store_retry *rows; /* of retries_writing */
	struct store_put *puts;   /* the thread's own room */
	struct store_ack *acks;
	size_t put_room, ack_room;
};

/* What of a commit is written; a seal goes with the puts. */
enum broker_part { PART_PUTS = 1u << 0, PART_REST = 1u << 1, PART_ACKS = 1u << 2 };

/* One commit, of what the committer has in `writing`. */
struct broker_job {
	struct sqlite_broker *broker;
	unsigned has;         /* parts that there are */
	bool begun;           /* the lists went over, and the backlog has a place for each put */
	int puts, rest, acks; /* what became of them */
	uint64_t stored_bytes;
	struct weir_error err; /* of the last that failed */
};

struct sqlite_broker {
	const struct broker_sqlite_config *config;
	size_t capacity_items, capacity_bytes;
	size_t most_capacity;           /* that capacity_items may become: what all lists have room for */
	bool again;                     /* the source can be read again */
	uint64_t most_items;            /* in the store and not settled */
	struct weir_histogram *trip_ns; /* NULL: nobody wants to know */
	struct weir_pool *pool;
	struct store *store;
	struct weir_group *fibers;

	struct broker_line line;
	size_t held_items, held_bytes; /* the window: the line's, and dead letters that are not written yet */
	size_t evidence_bytes;         /* of it: what explains the latter */
	struct broker_counts counts;   /* but for the items, which line and backlog count */

	struct broker_backlog backlog;
	struct weir_event *hungry; /* the feeder shall look whether there is room */
	struct item *loaded[STORE_CHUNK_ITEMS];

	struct broker_committer committer;

	struct weir_sem *put_turn; /* one put at a time waits for room, so a large one is not overtaken for ever */
	struct weir_event *room;   /* set and cleared when there may be room in the store, or no hope for it */
	size_t claimed_items;      /* of puts that are on their way into the store */
	uint64_t claimed_bytes;

	struct weir_error failed; /* the store is spoilt: what every call answers from now on */
	unsigned replays;         /* under way */
	bool sealed, stopped, ended;
	bool unclean; /* and close is to leave the state so */
};

/* --- durable.c --- */

/* Calls fn on the store's thread and waits for it, whatever comes. */
int broker_on_thread(struct sqlite_broker *broker, weir_offload_fn fn, void *arg);

/* Wakes all who wait for the event, and them alone. */
static inline void broker_pulse(struct weir_event *event)
{
	weir_event_set(event);
	weir_event_clear(event);
}

/* The store is spoilt.  Only the first failure counts. */
void broker_fail(struct sqlite_broker *broker, int code, const struct weir_error *err);

/* The failure of a store that is spoilt, with err; else 0. */
int broker_answer_failed(const struct sqlite_broker *broker, struct weir_error *err);

/* Items that are neither settled nor dead letters. */
static inline uint64_t broker_unfinished(const struct sqlite_broker *broker)
{
	return broker_line_items(&broker->line) + broker->backlog.items;
}

/* Lets all workers go once nothing is left to be handed out. */
void broker_end_if_done(struct sqlite_broker *broker);

/* Whether so many items more have room. */
bool broker_window_fits(const struct sqlite_broker *broker, size_t items, size_t bytes);

/* Takes an item that is in the store: ready or waiting, by its due time. */
void broker_window_admit(struct sqlite_broker *broker, struct item *item);

/* An item that is settled, and stored as that, goes. */
void broker_window_drop(struct sqlite_broker *broker, struct item *item);

size_t broker_item_bytes(const struct item *item);

/* --- put.c: as in the port --- */

int broker_put(struct broker *broker, struct item *const *items, size_t n, const struct source_cursor *was,
	       const struct source_cursor *cursor, struct weir_error *err, weir_nsec deadline);

/* --- committer.c --- */

int broker_committer_open(struct sqlite_broker *broker);
void broker_committer_free(struct sqlite_broker *broker);

/* Hands a request over and waits, shielded, until it is written or refused: its code, with err. */
int broker_commit(struct sqlite_broker *broker, struct broker_request *request, struct weir_error *err);

/* Hand an item over, to be written with the next.  A retry may be leased, settled and postponed again meanwhile. */
void broker_commit_retry(struct sqlite_broker *broker, struct item *item);
void broker_commit_dead(struct sqlite_broker *broker, struct item *item);

/* A fiber: writes. */
int broker_committer_run(void *arg);

/* --- transaction.c --- */

/* On the thread; arg is a broker_job.  0, or a code before anything was tried: WEIR_ENOMEM, or damage. */
int broker_write_on_thread(void *arg);

static inline bool broker_may_work_later(int code)
{
	return code == WEIR_ENOSPC || code == WEIR_EBUSY || code == WEIR_EAGAIN || code == WEIR_ENOMEM;
}

/* --- feeder.c --- */

int broker_feeder_open(struct sqlite_broker *broker);
void broker_feeder_free(struct sqlite_broker *broker);

/* Makes room for n chunks more.  WEIR_ENOMEM. */
int broker_backlog_reserve(struct sqlite_broker *broker, size_t n);

/* Adds a chunk; there is room. */
void broker_backlog_add(struct sqlite_broker *broker, const struct broker_chunk *chunk);

/* A put has its items in so many chunks, all but the last full. */
static inline size_t broker_chunks_of(const struct broker_request *put)
{
	return (put->n + STORE_CHUNK_ITEMS - 1) / STORE_CHUNK_ITEMS;
}

/* Of that whose first item is items[at]. */
static inline size_t broker_chunk_items(const struct broker_request *put, size_t at)
{
	return put->n - at < STORE_CHUNK_ITEMS ? put->n - at : STORE_CHUNK_ITEMS;
}

static inline struct broker_chunk broker_chunk_of(const struct store_chunk *stored)
{
	return (struct broker_chunk){
		.id = stored->id,
		.bytes = stored->left_bytes < UINT32_MAX ? (uint32_t)stored->left_bytes : UINT32_MAX,
		.left = (uint16_t)stored->left,
	};
}

/* A fiber: loads chunks as there is room in the window. */
int broker_feeder_run(void *arg);

/* --- letters.c: as in the port --- */

int broker_letters(struct broker *broker, const struct letters_request *request, struct buf *out, uint64_t *ret_n,
		   struct weir_error *err, weir_nsec deadline);

#endif
