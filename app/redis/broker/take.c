/* SPDX-License-Identifier: MIT */
/*
 * Getting items.  The taker keeps as many in line as are leased in a tenth of a second, at least one for who asks: so a
 * fast step does not wait for the network, and a slow one keeps nothing from the other workers.  What was not asked for
 * in a second goes back to all.
 *
 *     line empty, none at the server --> idle: the waker waits there for one (BLPOP) --> the taker takes it
 *
 * A wake-up is of use to one worker alone, and one that is lost costs a second: so long at most the waker waits.  The
 * mover moves retries that are due.
 *
 * After a connection broke, an answer with items may have got lost.  What the server says that this worker has, and it
 * does not know of, is put in line; it is not read from the stream again, which would count as another delivery.
 */
#include "redis/broker/state.h"

#include <inttypes.h>
#include <stdlib.h>

#define RATE_PERIOD  (100 * WEIR_MSEC)
#define STALE_PERIOD WEIR_SEC
#define WAKER_PERIOD "1" /* seconds */
#define MOVER_LEAST  (5 * WEIR_MSEC)
#define MOVER_MOST   WEIR_SEC

enum { AGING_MS = 5000, GIVEN_AT_ONCE = 64 };

static const struct weir_backoff backoff = {.base = 20 * WEIR_MSEC, .cap = WEIR_SEC, .jitter = WEIR_JITTER_EQUAL};

/* ---- what comes */

static struct value value_of(const redisReply *text)
{
	return (struct value){text->str, text->len};
}

/* Of the fields of an entry; missing ones are empty. */
static struct value field(const redisReply *fields, const char *name)
{
	for (size_t i = 0; i + 1 < fields->elements; i += 2)
		if (!strcmp(fields->element[i]->str, name))
			return value_of(fields->element[i + 1]);
	return (struct value){(char *)(uintptr_t) "", 0};
}

/* Entries that nobody of ours has written are left where they are: in the accounts they are missing. */
static int receive(struct redis_broker *broker, const struct entry *entry)
{
	struct entry_meta meta;
	struct item *item;
	int code = entry_item(entry, &item, &meta);
	if (code)
		return code == WEIR_EDATA ? 0 : code;
	if (redis_find_held(broker, item)) {
		item_free(item);
		return 0;
	}
	code = redis_hold(broker, item, &meta.history);
	if (code) {
		item_free(item);
		return code;
	}
	redis_push_line(broker, item);
	return 0;
}

/* since: when its meta data were written, on the server's clock, in ms. */
static weir_nsec time_after(const char *since, int64_t server_ms)
{
	return (server_ms - strtoll(since, NULL, 10)) * WEIR_MSEC;
}

/* ---- what an answer has brought that got lost */

static int ask(struct redis_broker *broker, const char *const *words, size_t n, redisReply **ret_reply)
{
	struct redis_command command = {0};
	struct weir_error err;
	for (size_t i = 0; i < n; i++)
		redis_add_text(&command, words[i]);
	int code = redis_call(broker->redis, &command, ret_reply, &err, WEIR_FOREVER);
	redis_command_fini(&command);
	return code;
}

static int recover_entry(struct redis_broker *broker, unsigned stream, const char *key, const char *id,
			 int64_t server_ms)
{
	redisReply *reply;
	int code = ask(broker, (const char *const[]){"XRANGE", key, id, id}, 4, &reply);
	if (code)
		return code;
	if (reply->elements) {
		const redisReply *fields = reply->element[0]->element[1];
		const struct entry entry = {.stream = stream,
					    .id = id,
					    .meta = field(fields, "m"),
					    .body = field(fields, "b"),
					    .after = time_after(field(fields, "s").data, server_ms)};
		code = receive(broker, &entry);
	}
	freeReplyObject(reply);
	return code;
}

static bool knows(const struct redis_broker *broker, unsigned stream, const char *id)
{
	uint64_t ticket, number;
	if (sscanf(id, "%" SCNu64 "-%" SCNu64, &ticket, &number) != 2)
		return true;
	const struct item named = {.id = number, .place = entry_place(ticket, stream)};
	return redis_find_held(broker, &named);
}

/* A stream without its group has nothing pending. */
static int recover_stream(struct redis_broker *broker, unsigned stream, const char *key, int64_t server_ms)
{
	char from[64] = "-";
	size_t n;
	int code;
	do {
		redisReply *pending;
		code = ask(broker, (const char *const[]){"XPENDING", key, "w", from, "+", "256", broker->name}, 7,
			   &pending);
		if (code)
			return code == WEIR_EDATA ? 0 : code;
		n = pending->elements;
		for (size_t i = 0; i < n && !code; i++) {
			const char *id = pending->element[i]->element[0]->str;
			snprintf(from, sizeof from, "(%s", id);
			if (!knows(broker, stream, id))
				code = recover_entry(broker, stream, key, id, server_ms);
		}
		freeReplyObject(pending);
	} while (!code && n == 256);
	return code;
}

/* The time that the scripts use, in ms: it does not go back when the server's clock does (now() in
 * scripts/prelude.lua). */
static int read_clock(struct redis_broker *broker, int64_t *ret_ms)
{
	struct buf key = {0};
	redisReply *reply;
	redis_key_name(broker, 0, &key);
	int code = key.failed ? WEIR_ENOMEM : ask(broker, (const char *const[]){"HGET", key.data, "ahead"}, 3, &reply);
	buf_fini(&key);
	if (code)
		return code;
	int64_t ahead = reply->str ? strtoll(reply->str, NULL, 10) : 0;
	freeReplyObject(reply);
	code = ask(broker, (const char *const[]){"TIME"}, 1, &reply);
	if (code)
		return code;
	*ret_ms = ahead + strtoll(reply->element[0]->str, NULL, 10) * 1000 +
		  strtoll(reply->element[1]->str, NULL, 10) / 1000;
	freeReplyObject(reply);
	return 0;
}

static int recover(struct redis_broker *broker)
{
	uint64_t connection = redis_connections(broker->redis);
	unsigned generation = broker->generation;
	int64_t now = 0;
	int code = read_clock(broker, &now);
	for (unsigned stream = 1; stream <= 2 + REDIS_CLASSES_MOST && !code; stream++) {
		struct buf key = {0};
		redis_key_name(broker, REDIS_STREAM_KEY(stream), &key);
		code = key.failed ? WEIR_ENOMEM : recover_stream(broker, stream, key.data, now);
		buf_fini(&key);
		if (generation != broker->generation)
			return 0; /* what was found is not this worker's any more */
	}
	if (!code)
		broker->taken_over = connection;
	return code;
}

/* ---- the taker */

static void count_lease(struct redis_broker *broker, size_t n)
{
	struct lease_rate *rate = &broker->rate;
	weir_nsec now = weir_now(), passed = now - rate->since;
	if (passed >= RATE_PERIOD) {
		rate->before = passed < 2 * RATE_PERIOD ? rate->now : 0;
		rate->now = 0;
		rate->since = now;
	}
	rate->now += n;
}

/* How many more are to be in line. */
static size_t wanted(const struct redis_broker *broker)
{
	const struct lease_rate *rate = &broker->rate;
	size_t want = rate->now > rate->before ? rate->now : rate->before;
	if (weir_now() - rate->since >= 2 * RATE_PERIOD)
		want = 0;
	if (want > broker->capacity_items / 2)
		want = broker->capacity_items / 2;
	if (!want && broker->askers)
		want = 1;
	if (broker->line_items > want / 2 || (broker->line_items && broker->line_bytes >= REDIS_BYTES_MOST))
		return 0;
	want -= broker->line_items;
	return want < REDIS_ITEMS_MOST ? want : REDIS_ITEMS_MOST;
}

static int note_taken(struct redis_broker *broker, const redisReply *reply)
{
	int64_t server_ms = strtoll(reply->element[1]->str, NULL, 10);
	const redisReply *entries = reply->element[2];
	int code = 0;
	for (size_t i = 0; i < entries->elements; i++) {
		redisReply *const *of = entries->element[i]->element;
		const struct entry entry = {.stream = (unsigned)of[0]->integer,
					    .id = of[1]->str,
					    .meta = value_of(of[2]),
					    .body = value_of(of[4]),
					    .after = time_after(of[3]->str, server_ms)};
		int failed = receive(broker, &entry);
		code = code ? code : failed;
	}
	broker->empty = !entries->elements;
	return code;
}

static int take(struct redis_broker *broker, size_t n)
{
	struct redis_command rest = {0};
	redisReply *reply;
	bool fresh_first = broker->opts.fresh_first && broker->opts.fresh_first(broker->opts.arg);
	redis_begin_call(broker, &rest);
	redis_add_number(&rest, (int64_t)n);
	redis_add_text(&rest, fresh_first ? "1" : "0");
	redis_add_number(&rest, broker->opts.aging ? broker->opts.aging / WEIR_MSEC : AGING_MS);
	unsigned generation = broker->generation;
	int code = redis_run(broker, broker->redis, REDIS_TAKE, &rest, &reply, NULL);
	if (code)
		return code;
	if (redis_says(reply, "END"))
		broker->ended = true;
	else if (generation == broker->generation)
		code = note_taken(broker, reply);
	freeReplyObject(reply);
	if (code) /* out of memory: they are found again */
		broker->taken_over = 0;
	if (broker->empty)
		weir_event_set(broker->idle);
	redis_pulse(broker->changed);
	return code;
}

/* Nobody wants what is in line, so others shall have it. */
static bool is_stale(const struct redis_broker *broker)
{
	return !broker->askers && weir_now() - broker->rate.since >= STALE_PERIOD;
}

/* Does what there is to do: whether anything was; *ret_code is a failure, after which it is tried again. */
static bool take_once(struct redis_broker *broker, int *ret_code)
{
	*ret_code = 0;
	if (broker->joined && broker->line_items && (broker->stopped || is_stale(broker))) {
		*ret_code = redis_give_line(broker);
		return *ret_code;
	}
	if (!broker->joined || redis_is_over(broker))
		return false;
	if (broker->taken_over != redis_connections(broker->redis)) {
		*ret_code = recover(broker);
		redis_pulse(broker->changed);
		return true;
	}
	size_t n = broker->empty ? 0 : wanted(broker);
	if (n)
		*ret_code = take(broker, n);
	return n;
}

int redis_taker(void *arg)
{
	struct redis_broker *broker = arg;
	unsigned failures = 0;
	uint64_t random = broker->tag;
	while (!weir_canceled()) {
		int code;
		weir_event_clear(broker->hungry);
		weir_shield_enter(); /* an answer with items must not get lost */
		bool did = take_once(broker, &code);
		weir_shield_leave();
		failures = code < 0 ? failures + 1 : 0;
		if (failures)
			weir_sleep(weir_backoff_wait(&backoff, failures, 0, &random));
		else if (!did)
			weir_event_wait(broker->hungry, broker->line_items ? weir_now() + STALE_PERIOD : WEIR_FOREVER);
	}
	return 0;
}

/* An item that could not be given back is in line again, unless it was lost meanwhile. */
int redis_give_line(struct redis_broker *broker)
{
	struct item *items[GIVEN_AT_ONCE];
	int code = 0;
	while (broker->line_items && !code) {
		size_t n = 0;
		while (n < GIVEN_AT_ONCE && broker->line_items)
			items[n++] = redis_pop_line(broker);
		code = redis_settle(broker, SETTLE_GIVE, items, n, 0, NULL);
		for (size_t i = 0; i < n; i++)
			if (code && redis_find_held(broker, items[i]))
				redis_push_line(broker, items[i]);
			else
				item_free(items[i]);
	}
	return code;
}

/* ---- the waker */

int redis_waker(void *arg)
{
	struct redis_broker *broker = arg;
	unsigned failures = 0;
	uint64_t random = ~broker->tag;
	while (!weir_event_wait(broker->idle, WEIR_FOREVER)) {
		struct redis_command command = {0};
		struct weir_error err;
		redisReply *reply;
		struct buf key = {0};
		weir_event_clear(broker->idle);
		redis_add_text(&command, "BLPOP");
		buf_addf(&key, "%swake", broker->prefix);
		redis_add(&command, key.data, key.len);
		buf_fini(&key);
		redis_add_text(&command, WAKER_PERIOD);
		int code = redis_call(broker->waiting, &command, &reply, &err, WEIR_FOREVER);
		redis_command_fini(&command);
		if (!code)
			freeReplyObject(reply);
		failures = code ? failures + 1 : 0;
		if (failures)
			weir_sleep(weir_backoff_wait(&backoff, failures, 0, &random));
		broker->empty = false;
		weir_event_set(broker->hungry);
	}
	return 0;
}

/* ---- the mover */

static int move(struct redis_broker *broker, weir_nsec *ret_wait)
{
	struct redis_command rest = {0};
	redisReply *reply;
	redis_begin_call(broker, &rest);
	redis_add_number(&rest, REDIS_ITEMS_MOST);
	int code = redis_run(broker, broker->redis, REDIS_MOVE, &rest, &reply, NULL);
	if (code)
		return code;
	int64_t next = reply->element[2]->integer;
	*ret_wait = next < 0 || next > MOVER_MOST / WEIR_MSEC ? MOVER_MOST : next * WEIR_MSEC;
	if (reply->element[1]->integer < REDIS_ITEMS_MOST && *ret_wait < MOVER_LEAST)
		*ret_wait = MOVER_LEAST;
	freeReplyObject(reply);
	return 0;
}

int redis_mover(void *arg)
{
	struct redis_broker *broker = arg;
	while (!weir_canceled()) {
		weir_nsec wait = MOVER_MOST;
		if (broker->joined && !redis_is_over(broker) && move(broker, &wait) < 0)
			wait = MOVER_MOST;
		broker->next_retry = weir_now() + wait;
		while (!weir_canceled() && weir_now() < broker->next_retry) {
			weir_event_clear(broker->retried);
			weir_event_wait(broker->retried, broker->next_retry);
		}
	}
	return 0;
}

/* ---- lease */

int redis_lease(struct broker *handle, struct item **ret_items, size_t max, struct weir_error *err, weir_nsec deadline)
{
	struct redis_broker *broker = (struct redis_broker *)handle;
	int code = weir_canceled() ? WEIR_ECANCELED : 0;
	broker->askers++;
	while (!code && !broker->line_items && !redis_is_over(broker)) {
		weir_event_set(broker->hungry);
		code = weir_event_wait(broker->changed, deadline);
	}
	broker->askers--;
	if (code)
		return code;
	if (broker->failed.code)
		return redis_answer_failed(broker, err);
	if (broker->stopped || !broker->line_items)
		return WEIR_ECLOSED;
	size_t n = 0;
	while (n < max && broker->line_items)
		ret_items[n++] = redis_pop_line(broker);
	count_lease(broker, n);
	if (!broker->empty)
		weir_event_set(broker->hungry);
	return (int)n;
}

/* ---- open and close */

int redis_take_open(struct redis_broker *broker)
{
	STAILQ_INIT(&broker->line);
	int code = weir_event_new(&broker->changed);
	if (!code)
		code = weir_event_new(&broker->hungry);
	if (!code)
		code = weir_event_new(&broker->idle);
	return code ? code : weir_event_new(&broker->retried);
}

void redis_take_free(struct redis_broker *broker)
{
	redis_forget_held(broker);
	weir_table_fini(&broker->held);
	weir_event_free(broker->changed);
	weir_event_free(broker->hungry);
	weir_event_free(broker->idle);
	weir_event_free(broker->retried);
}
