/* SPDX-License-Identifier: MIT */
/*
 * Items that come, and the end of them.
 *
 * A put is told from all others by the tag behind its cursor: so it may be sent again, and a source that stands where
 * it stood before (a pipe that begins again) puts nothing that seems to be there already.
 */
#include "redis/broker/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FULL_PERIOD (50 * WEIR_MSEC)
#define WAIT_MS     "500"

/* Where the server stands, in words of the source. */
static bool stands_at(const struct redis_broker *broker, const struct source_cursor *was)
{
	size_t n = strcspn(broker->cursor, "\n");
	return !was || (strlen(was->text) == n && !memcmp(was->text, broker->cursor, n));
}

static void add_put(struct redis_broker *broker, struct item *const *items, size_t n, const char *cursor,
		    struct redis_command *rest)
{
	redis_begin_call(broker, rest);
	redis_add_text(rest, broker->cursor);
	redis_add_text(rest, cursor);
	redis_add_number(rest, broker->config->max_items);
	redis_add_number(rest, (int64_t)broker->config->max_size);
	for (size_t i = 0; i < n; i++) {
		struct entry_meta meta = entry_meta_of(items[i]);
		struct buf text = {0};
		int64_t class = broker->opts.class_of ? broker->opts.class_of(broker->opts.arg, items[i]) : 0;
		entry_meta_write(&meta, &text);
		redis_add_number(rest, class < 0 ? 0 : class < REDIS_CLASSES_MOST ? class : REDIS_CLASSES_MOST - 1);
		redis_add(rest, text.data, text.len);
		redis_add(rest, items[i]->source.data, items[i]->source.len);
		rest->words.failed |= text.failed;
		buf_fini(&text);
	}
}

/* So many replicas have it, too. */
static int wait_for_replicas(struct redis_broker *broker, struct weir_error *err)
{
	struct redis_command command = {0};
	redisReply *reply;
	if (!broker->config->wait)
		return 0;
	redis_add_text(&command, "WAIT");
	redis_add_number(&command, broker->config->wait);
	redis_add_text(&command, WAIT_MS);
	int code = redis_call(broker->putting, &command, &reply, err, WEIR_FOREVER);
	redis_command_fini(&command);
	if (code)
		return redis_explain(broker, code, err);
	if (reply->integer < broker->config->wait)
		code = weir_error_set(err, WEIR_EBUSY,
				      "only %lld of %" PRId64 " replicas of Redis at %s have the items", reply->integer,
				      broker->config->wait, redis_name(broker->redis));
	freeReplyObject(reply);
	return code;
}

/* Again: this worker was taken for dead under the name in the put, and may have joined under another one since. */
enum { PUT_FULL = 2, PUT_AGAIN };

int redis_note_cursor(struct redis_broker *broker, const char *text)
{
	char *cursor = strdup(text);
	if (!cursor)
		return WEIR_ENOMEM;
	free(broker->cursor);
	broker->cursor = cursor;
	return 0;
}

static int put_once(struct redis_broker *broker, struct item *const *items, size_t n, const char *cursor,
		    struct weir_error *err)
{
	struct redis_command rest = {0};
	redisReply *reply;
	add_put(broker, items, n, cursor, &rest);
	int code = redis_run(broker, broker->putting, REDIS_ENQ, &rest, &reply, err);
	if (code)
		return code == CALL_FENCED ? PUT_AGAIN : code;
	if (redis_says(reply, "MOVED"))
		code = redis_note_cursor(broker, reply->element[1]->str) ? WEIR_ENOMEM : BROKER_MOVED;
	else
		code = redis_says(reply, "FULL") ? PUT_FULL : wait_for_replicas(broker, err);
	freeReplyObject(reply);
	return code;
}

static int wait_for_room(struct redis_broker *broker, weir_nsec deadline)
{
	weir_nsec until = weir_now() + FULL_PERIOD;
	bool is_last = deadline != WEIR_FOREVER && deadline <= until;
	int code = weir_event_wait(broker->room, is_last ? deadline : until);
	return code == WEIR_ETIMEDOUT && !is_last ? 0 : code;
}

static void note_put(struct redis_broker *broker, struct item *const *items, size_t n, const char *cursor)
{
	redis_note_cursor(broker, cursor);
	broker->puts++;
	broker->has_moved = false;
	broker->counts.accounts.read += n;
	broker->counts.sealed = broker->counts.ended = false;
	broker->left += n;
	for (size_t i = 0; i < n; i++)
		item_free(items[i]);
}

int redis_put(struct broker *handle, struct item *const *items, size_t n, const struct source_cursor *was,
	      const struct source_cursor *cursor, struct weir_error *err, weir_nsec deadline)
{
	struct redis_broker *broker = (struct redis_broker *)handle;
	char text[sizeof cursor->text + 48];
	int code = PUT_FULL;
	snprintf(text, sizeof text, "%s\n%016" PRIx64 ".%" PRIu64, cursor->text, broker->tag, broker->puts);
	for (;;) {
		if (broker->stopped || broker->failed.code)
			return WEIR_ECLOSED;
		if (broker->joined && !strcmp(broker->cursor, text))
			break; /* it was done, and this worker was taken for dead meanwhile */
		if (broker->joined && !stands_at(broker, was))
			return BROKER_MOVED;
		if (broker->joined)
			code = put_once(broker, items, n, text, err);
		if (!code)
			break;
		if (code < 0 || code == BROKER_MOVED)
			return code;
		if ((code = wait_for_room(broker, deadline)))
			return code;
	}
	note_put(broker, items, n, text);
	return 0;
}

int redis_seal(struct broker *handle, struct weir_error *err, weir_nsec deadline)
{
	struct redis_broker *broker = (struct redis_broker *)handle;
	struct redis_command rest = {0};
	redisReply *reply;
	(void)deadline;
	if (!broker->joined)
		return redis_answer_failed(broker, err) ? broker->failed.code
							: weir_error_set(err, WEIR_EBUSY, "joining again");
	if (broker->has_moved)
		return BROKER_MOVED;
	redis_begin_call(broker, &rest);
	redis_add_text(&rest, broker->cursor);
	int code = redis_run(broker, broker->putting, REDIS_SEAL, &rest, &reply, err);
	if (code)
		return code == CALL_FENCED ? weir_error_set(err, WEIR_EBUSY, "joining again") : code;
	bool has_moved = redis_says(reply, "MOVED");
	if (has_moved)
		code = redis_note_cursor(broker, reply->element[1]->str) ? WEIR_ENOMEM : BROKER_MOVED;
	else
		broker->counts.sealed = true;
	if (!code && reply->element[1]->integer)
		broker->ended = true;
	freeReplyObject(reply);
	redis_look_all(broker);
	return has_moved ? code : wait_for_replicas(broker, err);
}
