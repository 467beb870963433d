/* SPDX-License-Identifier: MIT */
/*
 * Calls of scripts.  Each may be sent again: whatever became of the first, the second does no harm (scripts.h).  So a
 * call of which nobody knows whether it was done is one to be tried again.
 *
 * An answer FENCED counts only for the name under which the call was sent: meanwhile this worker may have joined again.
 */
#include "redis/broker/state.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

void redis_lose_all(struct redis_broker *broker)
{
	broker->joined = false;
	broker->generation++;
	broker->counts.fenced += broker->held.n;
	redis_forget_held(broker);
	redis_look_all(broker);
}

void redis_begin_call(const struct redis_broker *broker, struct redis_command *rest)
{
	redis_add_keys(broker, rest);
	redis_add_text(rest, broker->run);
	if (broker->name)
		redis_add_text(rest, broker->name);
}

static int heed(struct redis_broker *broker, redisReply *reply, unsigned generation)
{
	if (redis_says(reply, "RESET")) {
		redis_fail(broker, WEIR_ECLOSED,
			   "the broker was reset: Redis at %s has no run %s of the pipeline \"%s\" any more; it was "
			   "emptied, or the run was started over",
			   redis_name(broker->redis), broker->run, broker->opts.name);
		return broker->failed.code;
	}
	if (!redis_says(reply, "FENCED"))
		return 0;
	if (generation == broker->generation)
		redis_lose_all(broker);
	return CALL_FENCED;
}

int redis_run(struct redis_broker *broker, struct redis *redis, enum redis_script_name name, struct redis_command *rest,
	      redisReply **ret_reply, struct weir_error *err)
{
	unsigned generation = broker->generation;
	struct weir_error own = {0};
	redisReply *reply = NULL;
	int code = redis_answer_failed(broker, err);
	if (!code) {
		weir_nsec begun = weir_clock();
		code = redis_eval(redis, &broker->scripts[name], rest, &reply, &own, WEIR_FOREVER);
		if (broker->opts.trip_ns)
			weir_histogram_record(broker->opts.trip_ns, weir_clock() - begun);
		if (code)
			code = weir_error_set(err, redis_explain(broker, code, &own), "%s", own.text);
	}
	redis_command_fini(rest);
	if (code)
		return code;
	code = heed(broker, reply, generation);
	if (code) {
		freeReplyObject(reply);
		return code < 0 ? redis_answer_failed(broker, err) : code;
	}
	*ret_reply = reply;
	return 0;
}

/* ---- joining */

void redis_say(struct redis_broker *broker, struct buf *record)
{
	const struct fleet_listener *listener = broker->opts.fleet;
	broker->limits = NULL;
	broker->limit_count = 0;
	if (listener)
		broker->limits = listener->say(listener->arg, record, &broker->limit_count);
	if (!record->len)
		buf_add_str(record, "{}");
}

static int take_answer(struct redis_broker *broker, const redisReply *reply)
{
	char *name = strdup(reply->element[1]->str), *cursor = strdup(reply->element[2]->str);
	if (!name || !cursor) {
		free(name);
		free(cursor);
		return WEIR_ENOMEM;
	}
	struct fleet_watch *watch;
	int code = fleet_watch_new(name, broker->config->lease, &watch);
	if (code) {
		free(name);
		free(cursor);
		return code;
	}
	broker->has_moved = broker->cursor && strcmp(broker->cursor, cursor) != 0;
	free(broker->name);
	free(broker->cursor);
	fleet_watch_free(broker->watch);
	broker->name = name;
	broker->cursor = cursor;
	broker->watch = watch;
	broker->number = 0;
	broker->version = 0;
	broker->joined = true;
	broker->generation++;
	return 0;
}

static int start(struct redis_broker *broker, const struct broker_start *start, const char *gone,
		 redisReply **ret_reply, struct weir_error *err)
{
	char name[FLEET_NAME_BYTES];
	struct redis_command rest = {0};
	struct buf record = {0};
	int code = fleet_name_make(&broker->host, name);
	if (code)
		return weir_error_set(err, code, "cannot tell processes apart: /proc: %s", weir_strerror(code));
	redis_say(broker, &record);
	redis_add_keys(broker, &rest);
	redis_add_text(&rest, start ? start->was : broker->run);
	redis_add_text(&rest, name);
	redis_add_text(&rest, broker->run);
	redis_add_text(&rest, broker->submits ? "submit" : "work");
	redis_add_text(&rest, REDIS_FORMAT);
	redis_add_text(&rest, start ? start->plan : "");
	redis_add_text(&rest, start && start->file ? start->file : "");
	redis_add_text(&rest, broker->source ? broker->source : "");
	redis_add(&rest, record.data, record.len);
	redis_add_text(&rest, gone);
	buf_fini(&record);
	return redis_run(broker, broker->redis, REDIS_START, &rest, ret_reply, err);
}

static int judge(struct redis_broker *broker, const redisReply *reply, struct weir_error *err)
{
	if (redis_says(reply, "MOVED"))
		return BROKER_MOVED;
	if (redis_says(reply, "FORMAT"))
		return weir_error_set(
			err, WEIR_EINVAL,
			"the queue of \"%s\" in Redis at %s has the format %s of another release of weir, "
			"and this one knows %s; use that release, or another name",
			broker->opts.name, redis_name(broker->redis), reply->element[1]->str, REDIS_FORMAT);
	if (redis_says(reply, "BUSY"))
		return weir_error_set(
			err, WEIR_EAGAIN,
			"another process reads the source of \"%s\": %s; wait until it has ended, or been "
			"silent for %" PRId64 " s, or only work: weir work",
			broker->opts.name, reply->element[1]->str, broker->config->lease / WEIR_SEC);
	int code = take_answer(broker, reply);
	return code ? weir_error_set(err, code, "out of memory") : 0;
}

int redis_join(struct redis_broker *broker, const struct broker_start *how, struct weir_error *err)
{
	redisReply *reply = NULL;
	int code = start(broker, how, "", &reply, err);
	if (code || !reply)
		return code;
	if (redis_says(reply, "BUSY") && fleet_name_is_gone(&broker->host, reply->element[1]->str)) {
		redisReply *busy = reply;
		code = start(broker, how, busy->element[1]->str, &reply, err);
		freeReplyObject(busy);
	}
	if (code)
		return code;
	code = judge(broker, reply, err);
	freeReplyObject(reply);
	return code;
}
