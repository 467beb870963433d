/* SPDX-License-Identifier: MIT */
/* The journal: a hash.  To look at it needs no worker. */
#include "redis/broker/state.h"

#include <stdlib.h>

void redis_hear_accounts(struct redis_broker *broker, const redisReply *accounts)
{
	enum { PRODUCED, SUCCEEDED, DROPPED, DEAD, SEALED, LEFT, RETRIES, LETTERS };
	redisReply *const *of = accounts->element;
	struct broker_counts *counts = &broker->counts;
	counts->accounts = (struct broker_accounts){.read = (uint64_t)of[PRODUCED]->integer,
						    .succeeded = (uint64_t)of[SUCCEEDED]->integer,
						    .dropped = (uint64_t)of[DROPPED]->integer,
						    .dead = (uint64_t)of[DEAD]->integer};
	counts->waiting = (uint64_t)of[RETRIES]->integer;
	counts->letters = (uint64_t)of[LETTERS]->integer;
	counts->sealed = of[SEALED]->integer;
	counts->ended = of[SEALED]->integer && !of[LEFT]->integer;
	broker->left = (uint64_t)of[LEFT]->integer;
}

static struct value field(const redisReply *hash, const char *name)
{
	for (size_t i = 0; i + 1 < hash->elements; i += 2)
		if (!strcmp(hash->element[i]->str, name))
			return (struct value){hash->element[i + 1]->str, hash->element[i + 1]->len};
	return (struct value){(char *)(uintptr_t) "", 0};
}

static int fill_past(struct redis_broker *broker, const redisReply *hash, struct broker_past *past,
		     struct weir_error *err)
{
	struct value format = field(hash, "format"), cursor = field(hash, "cursor");
	struct value plan = field(hash, "plan"), source = field(hash, "source"), file = field(hash, "file");
	if (strcmp(format.data, REDIS_FORMAT) != 0)
		return weir_error_set(
			err, WEIR_EINVAL,
			"the queue of \"%s\" in Redis at %s has the format %s of another release of weir, "
			"and this one knows %s; use that release, or another name",
			broker->opts.name, redis_name(broker->redis), format.data, REDIS_FORMAT);
	past->begun = true;
	past->sealed = !strcmp(field(hash, "sealed").data, "1");
	snprintf(past->run, sizeof past->run, "%s", field(hash, "run").data);
	snprintf(past->cursor.text, sizeof past->cursor.text, "%.*s", (int)strcspn(cursor.data, "\n"), cursor.data);
	past->accounts = broker->counts.accounts;
	past->unfinished = broker->left;
	past->letters = broker->counts.letters;
	past->done = past->sealed && !broker->left;
	if (value_copy(&past->plan, plan.data, plan.len) || value_copy(&past->source, source.data, source.len) ||
	    value_copy(&past->file, file.data, file.len))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	return 0;
}

/* Nothing is known: the strings are empty, not absent. */
static int fill_none(struct broker_past *past, struct weir_error *err)
{
	if (value_copy(&past->plan, "", 0) || value_copy(&past->source, "", 0) || value_copy(&past->file, "", 0))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	return 0;
}

static int account(struct redis_broker *broker, redisReply **ret_reply, struct weir_error *err)
{
	struct redis_command rest = {0};
	redis_begin_call(broker, &rest);
	return redis_run(broker, broker->redis, REDIS_ACCOUNT, &rest, ret_reply, err);
}

/* What this process begins with is for this plan. */
static int note_plan(struct redis_broker *broker, const struct value *plan, struct weir_error *err)
{
	char *text = strndup(plan->len ? plan->data : "", plan->len);
	if (!text)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	free(broker->plan);
	broker->plan = text;
	return 0;
}

int redis_recall(struct broker *handle, struct broker_past *ret_past, struct weir_error *err, weir_nsec deadline)
{
	struct redis_broker *broker = (struct redis_broker *)handle;
	struct broker_past past = {0};
	redisReply *reply;
	(void)deadline;
	int code = account(broker, &reply, err);
	if (code)
		return code;
	if (redis_says(reply, "NONE")) {
		code = fill_none(&past, err);
	} else {
		redis_hear_accounts(broker, reply->element[2]);
		code = fill_past(broker, reply->element[1], &past, err);
		/* The source is read from this place on: the server may have forgotten what was put. */
		if (!code && broker->name && redis_note_cursor(broker, field(reply->element[1], "cursor").data))
			code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	}
	freeReplyObject(reply);
	if (!code && !broker->name)
		code = note_plan(broker, &past.plan, err);
	if (code)
		broker_past_fini(&past);
	else
		*ret_past = past;
	broker->has_moved = broker->has_moved && code;
	return code;
}

int redis_find_run(struct redis_broker *broker, char ret_run[33], struct weir_error *err)
{
	struct broker_past past;
	int code = *broker->run ? 0 : redis_recall((struct broker *)broker, &past, err, WEIR_FOREVER);
	if (code)
		return code;
	memcpy(ret_run, *broker->run ? broker->run : past.run, 33);
	if (!*broker->run)
		broker_past_fini(&past);
	return *ret_run ? 0
			: weir_error_set(err, WEIR_ENOENT, "there is no run of it in Redis at %s",
					 redis_name(broker->redis));
}

int redis_forget(struct broker *handle, const char *was, struct weir_error *err, weir_nsec deadline)
{
	struct redis_broker *broker = (struct redis_broker *)handle;
	struct redis_command rest = {0};
	redisReply *reply;
	(void)deadline;
	redis_add_keys(broker, &rest);
	redis_add_text(&rest, was);
	int code = redis_run(broker, broker->redis, REDIS_FORGET, &rest, &reply, err);
	if (code)
		return code;
	code = redis_says(reply, "MOVED") ? BROKER_MOVED : 0;
	freeReplyObject(reply);
	return code;
}

/* Of a run that is gone there is nothing to say any more. */
int redis_audit(struct broker *handle, struct weir_error *err, weir_nsec deadline)
{
	struct redis_broker *broker = (struct redis_broker *)handle;
	struct broker_past past;
	int code = redis_recall(handle, &past, err, deadline);
	if (code)
		return 0;
	bool is_same = past.begun && !strcmp(past.run, broker->run);
	broker_past_fini(&past);
	return is_same ? broker_check_accounts(&broker->counts.accounts, broker->left, err) : 0;
}
