/* SPDX-License-Identifier: MIT */
/*
 * What the files of the broker on Redis share.
 *
 *     put --ENQ--> streams --TAKE--> line --lease--> engine --ack, nack, bury, extend--> settler --DONE, RETRY, …-->
 *
 * broker.c is the port; call.c calls the scripts, and joins the run again when this worker was taken for dead; server.c
 * looks whether the server is fit; journal.c begins and recalls; take.c fetches ahead what starts soon, and wakes;
 * settle.c sends what becomes of items, many at once; meet.c meets the other workers; letters.c is about dead letters;
 * entry.c reads and writes entries.
 *
 * What this worker holds at the server is in `held`, whether the engine has it or it is in line.  A worker that was
 * taken for dead has lost all of it: `held` is empty, and what is said of those items does nothing.
 */
#ifndef REDIS_BROKER_STATE_H
#define REDIS_BROKER_STATE_H

#include "fleet/name.h"
#include "fleet/watch.h"
#include "port/broker.h"
#include "redis/broker/entry.h"
#include "redis/client.h"
#include "redis/scripts.h"

#include <weir/table.h>
#include <weir/weir.h>

struct redis_broker_config {
	char *url;
	weir_nsec lease;
	int64_t deaths, max_items, wait;
	uint64_t max_size;
};

/* An entry that this worker has at the server. */
struct held {
	struct weir_table_node node; /* first; by the item's id */
	uint64_t id;
	weir_nsec place;
	char *history; /* of an item that was a dead letter; NULL */
};

/* What becomes of items, each with a settler of its own. */
enum settling { SETTLE_DONE, SETTLE_RETRY, SETTLE_BURY, SETTLE_KEEP, SETTLE_GIVE, SETTLINGS };

/* What somebody waits for; on its stack. */
struct request {
	struct item *const *items; /* REDIS_ITEMS_MOST at most */
	size_t n;
	weir_nsec wait; /* of a retry */
	bool done;
	int code;
	struct weir_error err;
	STAILQ_ENTRY(request) next;
};

struct settler {
	struct redis_broker *broker;
	enum settling kind;
	STAILQ_HEAD(requests, request) requests;
	struct weir_event *work, *settled;
};

/* How fast items are leased. */
struct lease_rate {
	weir_nsec since;
	size_t now, before; /* in this tenth of a second, and in the one before */
};

struct redis_broker {
	const struct redis_broker_config *config;
	struct broker_options opts;
	struct redis *redis;   /* for all that does not wait */
	struct redis *waiting; /* where BLPOP waits */
	struct redis *putting; /* for ENQ with replicas that are waited for; else the first */
	struct redis_script scripts[REDIS_SCRIPTS];
	char *prefix;        /* of the keys: "weir:{NAME}:" */
	struct buf all_keys; /* the number of keys and the keys, as words of a command */
	size_t key_words;

	/* call.c: as whom */
	struct fleet_host host;
	char run[33], *name;          /* name: of this worker; NULL: it has not joined */
	char asked[FLEET_NAME_BYTES]; /* under which it asks to join, until there is an answer; "": it does not */
	bool submits, joined;
	unsigned generation;      /* another one after each join and each loss */
	char *source;             /* for who joins again; see broker_start */
	char *plan;               /* of the run, as it was when this worker looked or joined last; NULL: not known */
	struct weir_error failed; /* the run is gone: what every call says from now on */
	struct weir_group *fibers;

	/* put */
	char *cursor;   /* as the server has it: a source's cursor, a line end, and a tag that no other put has */
	bool has_moved; /* it was another one when this worker joined again */
	uint64_t tag, puts;
	struct weir_event *room; /* set and cleared when a put may go on */

	/* take.c */
	struct weir_table held;
	STAILQ_HEAD(line, item) line; /* held, and not leased */
	size_t line_items, line_bytes, askers, capacity_items;
	struct lease_rate rate;
	struct weir_event *changed; /* set and cleared: the line has items, or there will be none */
	struct weir_event *hungry;  /* the taker shall look */
	struct weir_event *idle;    /* the waker shall wait for an item */
	struct weir_event *retried; /* the mover shall look: a retry was added */
	weir_nsec next_retry;       /* when it is due, as far as is known */
	uint64_t taken_over;        /* the connection for which all that is held is known; 0: look */
	bool empty, stopped, ended;

	/* settle.c */
	struct settler settlers[SETTLINGS];
	uint64_t kept; /* how often something was kept: each time has its number */

	/* meet.c */
	struct fleet_watch *watch;
	struct fleet_limit *limits;
	size_t limit_count;
	uint64_t number, version, met_over; /* met_over: the connection */
	bool rejoined;                      /* after it was taken for dead */
	weir_nsec steady;                   /* since when shares must not grow for a while */
	weir_nsec tidy, checked;
	struct weir_event *meet_now;
	struct broker_counts counts; /* as of the last meeting, and what was settled since */
	uint64_t left;               /* items that are not settled */
};

static inline void redis_pulse(struct weir_event *event)
{
	weir_event_set(event);
	weir_event_clear(event);
}

static inline bool redis_is_over(const struct redis_broker *broker)
{
	return broker->stopped || broker->ended || broker->failed.code;
}

static inline bool redis_says(const redisReply *reply, const char *word)
{
	return !strcmp(reply->element[0]->str, word);
}

/* ---- state.c */

/* The keys, in the order of REDIS_KEYS, then one for each class. */
static const char *const redis_key_names[] = REDIS_KEYS;
#define REDIS_FRESH_KEY          (sizeof redis_key_names / sizeof *redis_key_names)
#define REDIS_KEY_COUNT          (REDIS_FRESH_KEY + REDIS_CLASSES_MOST)
#define REDIS_STREAM_KEY(stream) (REDIS_FRESH_KEY - 3 + (stream)) /* of stream 1, … */

void redis_key_name(const struct redis_broker *broker, size_t key, struct buf *out);
void redis_add_keys(const struct redis_broker *broker, struct redis_command *rest);

/* Whoever is to look does. */
void redis_look_all(struct redis_broker *broker);

/* The run is gone.  Only the first failure counts. */
void redis_fail(struct redis_broker *broker, int code, const char *format, ...) __attribute__((format(printf, 3, 4)));
int redis_answer_failed(const struct redis_broker *broker, struct weir_error *err); /* its code, with err; or 0 */

/* ---- held.c */

struct held *redis_find_held(const struct redis_broker *broker, const struct item *item);
int redis_hold(struct redis_broker *broker, const struct item *item, const struct value *history); /* WEIR_ENOMEM */
void redis_drop_held(struct redis_broker *broker, struct held *held);
void redis_forget_held(struct redis_broker *broker); /* all, and what is in line */
void redis_push_line(struct redis_broker *broker, struct item *item);
struct item *redis_pop_line(struct redis_broker *broker); /* NULL: none */

/* ---- server.c.  All suspend. */

/* That it evicts no keys of ours, which can be set at any time; that the user may do all that is needed. */
int redis_check_server(struct redis_broker *broker, struct weir_error *err);
int redis_check_rights(struct redis_broker *broker, const redisReply *rights,
		       struct weir_error *err); /* REDIS_RIGHTS */

/* A failure of a call in the words of the port: WEIR_EBUSY, of one that may be sent again; WEIR_EINVAL with a text that
 * helps, of one that the server refuses for ever; else as it is. */
int redis_explain(struct redis_broker *broker, int code, struct weir_error *err);

/* ---- call.c */

/* What a call answers, beside 0 and failures. */
enum { CALL_FENCED = 1, CALL_CHANGED };

/* The words before all others: keys, run, worker. */
void redis_begin_call(const struct redis_broker *broker, struct redis_command *rest);

/* Runs the script over `rest`, which is finished: 0 with an answer that is neither RESET nor FENCED; CALL_FENCED: it
 * has had no effect.  WEIR_EBUSY: nobody knows, and it may be sent again; WEIR_ENOSPC, WEIR_ECLOSED (of a run that is
 * gone), WEIR_EINVAL (the server refuses it for ever), all with err, which may be NULL.  Suspends. */
int redis_run(struct redis_broker *broker, struct redis *redis, enum redis_script_name name, struct redis_command *rest,
	      redisReply **ret_reply, struct weir_error *err);

/* This worker was taken for dead: what it held is not its own any more. */
void redis_lose_all(struct redis_broker *broker);

/* Joins under a new name: 0, BROKER_MOVED, CALL_CHANGED (the run has another plan; err says why), WEIR_EAGAIN (another
 * one reads the source), or as redis_run().  start: NULL: again.  Suspends. */
int redis_join(struct redis_broker *broker, const struct broker_start *start, struct weir_error *err);

/* What this worker says of itself; its limits are in broker->limits then. */
void redis_say(struct redis_broker *broker, struct buf *record);

/* ---- journal.c: as in the port */

/* The run that this is about, also before begin().  WEIR_ENOENT with err: there is none. */
int redis_find_run(struct redis_broker *broker, char ret_run[33], struct weir_error *err);
void redis_hear_accounts(struct redis_broker *broker, const redisReply *accounts);
int redis_recall(struct broker *broker, struct broker_past *ret_past, struct weir_error *err, weir_nsec deadline);
int redis_forget(struct broker *broker, const char *was, struct weir_error *err, weir_nsec deadline);
int redis_audit(struct broker *broker, struct weir_error *err, weir_nsec deadline);

/* ---- settle.c */

int redis_settle_open(struct redis_broker *broker);
void redis_settle_free(struct redis_broker *broker);
int redis_settler(void *arg); /* a fiber */

/* Says what becomes of the items, which stay the caller's.  Suspends, shielded. */
int redis_settle(struct redis_broker *broker, enum settling kind, struct item *const *items, size_t n, weir_nsec wait,
		 struct weir_error *err);

/* ---- put.c: as in the port */

int redis_put(struct broker *broker, struct item *const *items, size_t n, const struct source_cursor *was,
	      const struct source_cursor *cursor, struct weir_error *err, weir_nsec deadline);
int redis_seal(struct broker *broker, struct weir_error *err, weir_nsec deadline);
int redis_note_cursor(struct redis_broker *broker, const char *text); /* where the server stands; WEIR_ENOMEM */

/* ---- take.c */

int redis_take_open(struct redis_broker *broker);
void redis_take_free(struct redis_broker *broker);
int redis_taker(void *arg); /* fibers */
int redis_waker(void *arg);
int redis_mover(void *arg);
int redis_lease(struct broker *broker, struct item **ret_items, size_t max, struct weir_error *err, weir_nsec deadline);

/* What is in line goes back to all; or a failure, then some is still there.  Suspends. */
int redis_give_line(struct redis_broker *broker);

/* ---- meet.c */

/* *ret_wait: until the next one.  Suspends. */
int redis_meet_once(struct redis_broker *broker, weir_nsec *ret_wait, struct weir_error *err);
int redis_meeter(void *arg); /* a fiber */
void redis_leave(struct redis_broker *broker);
int redis_look(struct broker *broker, struct fleet_view *ret_view, struct weir_error *err, weir_nsec deadline);
int redis_tell(struct broker *broker, const struct fleet_order *order, struct weir_error *err, weir_nsec deadline);

/* ---- letters.c: as in the port */

int redis_letters(struct broker *broker, const struct letters_request *request, struct buf *out, uint64_t *ret_n,
		  struct weir_error *err, weir_nsec deadline);

#endif
