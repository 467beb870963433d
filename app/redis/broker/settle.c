/* SPDX-License-Identifier: MIT */
/*
 * What becomes of items.  Whoever says it waits on its own; a settler sends all that has come meanwhile in one call. An
 * item that is not held any more is settled elsewhere: what is said of it succeeds and does nothing.
 */
#include "redis/broker/state.h"

#include <stdlib.h>

static const enum redis_script_name scripts[SETTLINGS] = {
	[SETTLE_DONE] = REDIS_DONE, [SETTLE_RETRY] = REDIS_RETRY, [SETTLE_BURY] = REDIS_BURY,
	[SETTLE_KEEP] = REDIS_KEEP, [SETTLE_GIVE] = REDIS_GIVE,
};

static const char *fate_name(const struct item *item)
{
	static const char *const names[FATES] = {
		[FATE_SUCCEEDED] = "succeeded", [FATE_DROPPED] = "dropped", [FATE_DEAD] = "dead"};
	return names[item->fate];
}

static void add_meta(const struct held *held, const struct item *item, struct redis_command *rest)
{
	struct entry_meta meta = entry_meta_of(item);
	struct buf text = {0};
	if (held->history)
		meta.history = (struct value){held->history, strlen(held->history)};
	entry_meta_write(&meta, &text);
	redis_add(rest, text.data, text.len);
	rest->words.failed |= text.failed;
	buf_fini(&text);
}

/* The words of an item, if it is held. */
static void add_item(struct redis_broker *broker, enum settling kind, const struct request *request,
		     const struct item *item, struct redis_command *rest)
{
	const struct held *held = redis_find_held(broker, item);
	char id[48];
	if (!held)
		return;
	if (kind == SETTLE_DONE)
		redis_add_text(rest, fate_name(item));
	redis_add_number(rest, entry_stream(item));
	entry_id(item, id);
	redis_add_text(rest, id);
	if (kind == SETTLE_RETRY)
		redis_add_number(rest, request->wait > 0 ? (request->wait + WEIR_MSEC - 1) / WEIR_MSEC : 0);
	if (kind == SETTLE_KEEP)
		redis_add_number(rest, (int64_t)++broker->kept);
	if (kind == SETTLE_RETRY || kind == SETTLE_KEEP || kind == SETTLE_BURY)
		add_meta(held, item, rest);
	if (kind == SETTLE_BURY) {
		redis_add_text(rest, item_why(item));
		redis_add(rest, item->evidence.data, item->evidence.len);
	}
}

/* As many requests as fit; they go to `batch`. */
static void gather(struct settler *settler, struct requests *batch, struct redis_command *rest)
{
	struct request *request;
	size_t n = 0;
	redis_begin_call(settler->broker, rest);
	while ((request = STAILQ_FIRST(&settler->requests)) && (!n || n + request->n <= REDIS_ITEMS_MOST) &&
	       rest->words.len < REDIS_BYTES_MOST) {
		STAILQ_REMOVE_HEAD(&settler->requests, next);
		STAILQ_INSERT_TAIL(batch, request, next);
		for (size_t i = 0; i < request->n; i++)
			add_item(settler->broker, settler->kind, request, request->items[i], rest);
		n += request->n;
	}
}

/* The server has done it: as far as these are concerned, this worker has them no more. */
static void note_settled(struct redis_broker *broker, enum settling kind, const struct request *request)
{
	for (size_t i = 0; i < request->n; i++) {
		const struct item *item = request->items[i];
		struct held *held = redis_find_held(broker, item);
		if (!held)
			continue;
		if (kind == SETTLE_DONE || kind == SETTLE_BURY)
			broker_count(&broker->counts.accounts, kind == SETTLE_BURY ? FATE_DEAD : item->fate, 1);
		broker->counts.letters += kind == SETTLE_BURY;
		broker->left -= (kind == SETTLE_DONE || kind == SETTLE_BURY) && broker->left;
		if (kind != SETTLE_KEEP)
			redis_drop_held(broker, held);
	}
	if (kind == SETTLE_RETRY && request->wait > 0) {
		weir_nsec due = weir_now() + request->wait;
		if (due < broker->next_retry) {
			broker->next_retry = due;
			weir_event_set(broker->retried);
		}
	}
}

static int send(struct settler *settler, struct redis_command *rest, struct weir_error *err)
{
	struct redis_broker *broker = settler->broker;
	redisReply *reply;
	weir_shield_enter();
	int code = redis_run(broker, broker->redis, scripts[settler->kind], rest, &reply, err);
	weir_shield_leave();
	if (code)
		return code == CALL_FENCED ? 0 : code;
	if (reply->elements > 2 && reply->element[2]->integer) {
		broker->ended = true;
		redis_look_all(broker);
	}
	freeReplyObject(reply);
	redis_pulse(broker->room);
	return 0;
}

int redis_settler(void *arg)
{
	struct settler *settler = arg;
	while (!STAILQ_EMPTY(&settler->requests) || !weir_event_wait(settler->work, WEIR_FOREVER)) {
		struct redis_command rest = {0};
		struct requests batch = STAILQ_HEAD_INITIALIZER(batch);
		struct request *request;
		struct weir_error err = {0};
		weir_event_clear(settler->work);
		if (STAILQ_EMPTY(&settler->requests))
			continue;
		gather(settler, &batch, &rest);
		int code = send(settler, &rest, &err);
		STAILQ_FOREACH(request, &batch, next)
		{
			if (!code)
				/* cppcheck-suppress uninitvar */
				note_settled(settler->broker, settler->kind, request);
			request->code = code;
			request->err = err;
			request->done = true;
		}
		redis_pulse(settler->settled);
	}
	return 0;
}

int redis_settle(struct redis_broker *broker, enum settling kind, struct item *const *items, size_t n, weir_nsec wait,
		 struct weir_error *err)
{
	struct settler *settler = &broker->settlers[kind];
	int code = 0;
	weir_shield_enter();
	for (size_t i = 0; i < n && !code; i += REDIS_ITEMS_MOST) {
		struct request request = {
			.items = items + i, .n = n - i < REDIS_ITEMS_MOST ? n - i : REDIS_ITEMS_MOST, .wait = wait};
		STAILQ_INSERT_TAIL(&settler->requests, &request, next);
		weir_event_set(settler->work);
		while (!request.done)
			weir_event_wait(settler->settled, WEIR_FOREVER);
		code = request.code;
		if (code)
			weir_error_set(err, code, "%s", request.err.text);
	}
	weir_shield_leave();
	return code;
}

int redis_settle_open(struct redis_broker *broker)
{
	int code = 0;
	for (int i = 0; i < SETTLINGS; i++) {
		struct settler *settler = &broker->settlers[i];
		*settler = (struct settler){.broker = broker, .kind = (enum settling)i};
		STAILQ_INIT(&settler->requests);
		if (!code)
			code = weir_event_new(&settler->work);
		if (!code)
			code = weir_event_new(&settler->settled);
	}
	return code;
}

void redis_settle_free(struct redis_broker *broker)
{
	for (int i = 0; i < SETTLINGS; i++) {
		weir_event_free(broker->settlers[i].work);
		weir_event_free(broker->settlers[i].settled);
	}
}
