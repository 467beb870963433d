/* SPDX-License-Identifier: MIT */
#include "redis/source/group.h"

#include "data/array.h"
#include "redis/source/entry.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/weir.h>

#define PAGE_BYTES ((size_t)2 << 20)
#define FIRST_ASK  ((size_t)16)

extern const char redis_lua_keep[], redis_lua_leave[], redis_lua_page[];

bool redis_id_at_most(const char *a, const char *b)
{
	char *a_end, *b_end;
	unsigned long long a_ms = strtoull(a, &a_end, 10), b_ms = strtoull(b, &b_end, 10);
	unsigned long long a_seq = *a_end ? strtoull(a_end + 1, NULL, 10) : 0;
	unsigned long long b_seq = *b_end ? strtoull(b_end + 1, NULL, 10) : 0;
	return a_ms < b_ms || (a_ms == b_ms && a_seq <= b_seq);
}

/* ---- commands */

/* Appends texts, up to a NULL. */
static void add_all(struct redis_command *command, const char *const *texts)
{
	for (; *texts; texts++)
		redis_add_text(command, *texts);
}

#define SAY(command, ...) add_all(command, (const char *const[]){__VA_ARGS__, NULL})

static bool begins(const char *text, const char *with)
{
	return strncmp(text, with, strlen(with)) == 0;
}

/* What the server has to say against a command: code and text for this group. */
static int explain(const struct redis_group *group, int code, const char *says, struct weir_error *err)
{
	const char *stream = group->config->stream, *name = group->config->name, *at = redis_name(group->redis);
	if (code == WEIR_EBUSY || code == WEIR_EIO || code == WEIR_ENOSPC)
		return weir_error_set(err, WEIR_EAGAIN, "%s", says);
	if (code != WEIR_EDATA)
		return weir_error_set(err, code, "%s", says);
	if (begins(says, "NOGROUP") || strstr(says, "no such key"))
		return weir_error_set(err, WEIR_EINVAL,
				      "Redis at %s: the consumer group %.60s of stream %.100s is gone: somebody has "
				      "deleted it, or the stream; the next run says how to go on",
				      at, name, stream);
	if (begins(says, "WRONGTYPE"))
		return weir_error_set(err, WEIR_EINVAL, "Redis at %s: the key %.100s is not a stream", at, stream);
	return weir_error_set(err, WEIR_EINVAL, "Redis at %s: stream %.100s, consumer group %.60s: %.200s", at, stream,
			      name, says);
}

/* The command ends with this call; so does the script's, if there is one. */
static int ask(struct redis_group *group, const char *script, struct redis_command *command, redisReply **ret_reply,
	       struct weir_error *err)
{
	struct redis_script lua;
	struct weir_error says = {0};
	if (script)
		redis_script_init(&lua, script);
	int code = script ? redis_eval(group->redis, &lua, command, ret_reply, &says, WEIR_FOREVER)
			  : redis_call(group->redis, command, ret_reply, &says, WEIR_FOREVER);
	redis_command_fini(command);
	return code ? explain(group, code, says.code ? says.text : weir_strerror(code), err) : 0;
}

static int refuse_answer(const struct redis_group *group, struct weir_error *err)
{
	return weir_error_set(err, WEIR_EIO, "Redis at %s: sent an answer of another form than expected",
			      redis_name(group->redis));
}

static bool is_array(const redisReply *reply, size_t at_least)
{
	return reply->type == REDIS_REPLY_ARRAY && reply->elements >= at_least;
}

static bool is_text(const redisReply *reply)
{
	return reply->type == REDIS_REPLY_STRING;
}

/* ---- the group */

static const redisReply *find(const redisReply *map, const char *name)
{
	for (size_t i = 0; i + 1 < map->elements; i += 2)
		if (is_text(map->element[i]) && strcmp(map->element[i]->str, name) == 0)
			return map->element[i + 1];
	return NULL;
}

static void note_group(struct redis_group *group, const redisReply *info)
{
	const redisReply *given = find(info, "last-delivered-id"), *lag = find(info, "lag");
	const redisReply *pending = find(info, "pending");
	group->exists = true;
	if (given && is_text(given))
		snprintf(group->given, sizeof group->given, "%s", given->str);
	bool known = lag && pending && lag->type == REDIS_REPLY_INTEGER && pending->type == REDIS_REPLY_INTEGER;
	group->unsettled = known ? lag->integer + pending->integer : -1;
}

static int look_at_groups(struct redis_group *group, struct weir_error *err)
{
	struct redis_command command = {0};
	redisReply *reply;
	SAY(&command, "XINFO", "GROUPS", group->config->stream);
	int code = ask(group, NULL, &command, &reply, err);
	if (code)
		return code;
	for (size_t i = 0; i < reply->elements; i++) {
		const redisReply *info = reply->element[i], *name = is_array(info, 2) ? find(info, "name") : NULL;
		if (name && is_text(name) && strcmp(name->str, group->config->name) == 0)
			note_group(group, info);
	}
	freeReplyObject(reply);
	return 0;
}

int redis_group_look(struct redis_group *group, struct weir_error *err)
{
	struct redis_command command = {0};
	redisReply *reply;
	group->exists = false;
	group->unsettled = -1;
	SAY(&command, "EXISTS", group->config->stream);
	int code = ask(group, NULL, &command, &reply, err);
	if (code)
		return code;
	group->removed = reply->integer == 0;
	freeReplyObject(reply);
	return group->removed ? 0 : look_at_groups(group, err);
}

int redis_group_make(struct redis_group *group, const char *behind, struct weir_error *err)
{
	struct redis_command command = {0};
	redisReply *reply;
	struct weir_error says = {0};
	SAY(&command, "XGROUP", "CREATE", group->config->stream, group->config->name, behind, "MKSTREAM");
	int code = redis_call(group->redis, &command, &reply, &says, WEIR_FOREVER);
	redis_command_fini(&command);
	if (!code)
		freeReplyObject(reply);
	if (!code || (code == WEIR_EDATA && begins(says.text, "BUSYGROUP")))
		return 0;
	return explain(group, code, says.code ? says.text : weir_strerror(code), err);
}

/* ---- pages */

void redis_group_drop(struct redis_group *group)
{
	freeReplyObject(group->reply);
	group->reply = NULL;
	group->n = 0;
	group->trimmed = 0;
	group->more = false;
}

void redis_group_fini(struct redis_group *group)
{
	redis_group_drop(group);
	free(group->entries);
}

static bool is_fields(const redisReply *fields)
{
	if (fields->type == REDIS_REPLY_INTEGER)
		return true;
	for (size_t i = 0; fields->type == REDIS_REPLY_ARRAY && i < fields->elements; i++)
		if (!is_text(fields->element[i]))
			return false;
	return fields->type == REDIS_REPLY_ARRAY;
}

/* Adds an entry, {id, fields}, or only its id.  0, WEIR_EDATA: it is none; WEIR_ENOMEM. */
static int add_entry(struct redis_group *group, const redisReply *entry)
{
	const redisReply *id = is_array(entry, 1) ? entry->element[0] : entry;
	const redisReply *fields = is_array(entry, 2) ? entry->element[1] : NULL;
	if (!is_text(id) || (fields && !is_fields(fields)))
		return WEIR_EDATA;
	if (array_reserve(&group->entries, &group->room, group->n + 1, sizeof group->entries[0]))
		return WEIR_ENOMEM;
	group->entries[group->n++] = (struct redis_entry){.id = id->str, .fields = fields};
	return 0;
}

static int add_entries(struct redis_group *group, const redisReply *entries)
{
	int code = entries->type == REDIS_REPLY_ARRAY ? 0 : WEIR_EDATA;
	for (size_t i = 0; i < entries->elements && !code; i++)
		code = add_entry(group, entries->element[i]);
	return code;
}

/* Takes the answer over. */
static int fail_page(struct redis_group *group, int code, struct weir_error *err)
{
	redis_group_drop(group);
	return code == WEIR_ENOMEM ? weir_error_set(err, code, "out of memory") : refuse_answer(group, err);
}

static void choose_size(struct redis_group *group, size_t n)
{
	size_t most = (size_t)group->config->batch;
	if (group->more)
		group->ask = n ? n : 1;
	else
		group->ask = 2 * group->ask < most ? 2 * group->ask : most;
}

/* What page.lua answers. */
static int take_page(struct redis_group *group, redisReply *reply, struct weir_error *err)
{
	group->reply = reply;
	bool is_page = is_array(reply, 5) && is_text(reply->element[0]) &&
		       reply->element[1]->type == REDIS_REPLY_INTEGER && is_array(reply->element[2], 0) &&
		       is_array(reply->element[3], 0) && reply->element[4]->type == REDIS_REPLY_INTEGER;
	if (!is_page)
		return fail_page(group, WEIR_EDATA, err);
	int code = add_entries(group, reply->element[2]);
	for (size_t i = 0; i < group->n; i++)
		group->entries[i].gone = true;
	if (!code)
		code = add_entries(group, reply->element[3]);
	if (code)
		return fail_page(group, code, err);
	if (reply->element[0]->len)
		snprintf(group->claim_from, sizeof group->claim_from, "%s", reply->element[0]->str);
	group->trimmed = (uint64_t)reply->element[1]->integer;
	group->more = reply->element[4]->integer;
	group->pages++;
	group->kept = weir_clock();
	choose_size(group, reply->element[3]->elements);
	return 0;
}

/* How, with up to two arguments that may be NULL; see page.lua. */
static int read_page(struct redis_group *group, const char *how, const char *first, const char *second,
		     struct weir_error *err)
{
	struct redis_command command = {0};
	redisReply *reply;
	if (!group->ask)
		group->ask = FIRST_ASK < (size_t)group->config->batch ? FIRST_ASK : (size_t)group->config->batch;
	redis_group_drop(group);
	SAY(&command, "1", group->config->stream, group->config->name, group->consumer);
	redis_add_number(&command, (int64_t)group->ask);
	redis_add_number(&command, REDIS_ENTRY_BYTES_MAX);
	redis_add_number(&command, PAGE_BYTES);
	SAY(&command, how, first, second);
	int code = ask(group, redis_lua_page, &command, &reply, err);
	return code ? code : take_page(group, reply, err);
}

int redis_group_read_own(struct redis_group *group, const char *after, struct weir_error *err)
{
	return read_page(group, "own", after, NULL, err);
}

int redis_group_read_fresh(struct redis_group *group, struct weir_error *err)
{
	return read_page(group, "fresh", NULL, NULL, err);
}

int redis_group_look_on(struct redis_group *group, const char *after, struct weir_error *err)
{
	return read_page(group, "look", after, NULL, err);
}

int redis_group_claim(struct redis_group *group, bool *ret_over, struct weir_error *err)
{
	char idle[24], from[sizeof group->claim_from];
	snprintf(idle, sizeof idle, "%" PRId64, (int64_t)(group->config->claim_idle / WEIR_MSEC));
	snprintf(from, sizeof from, "%s", group->claim_from[0] ? group->claim_from : "0-0");
	int code = read_page(group, "claim", idle, from, err);
	*ret_over = !code && strcmp(group->claim_from, "0-0") == 0;
	return code;
}

int redis_group_wait(struct redis_group *group, weir_nsec time, struct weir_error *err)
{
	struct redis_command command = {0};
	redisReply *reply;
	char wait[24];
	snprintf(wait, sizeof wait, "%" PRId64, (int64_t)(time / WEIR_MSEC) + 1);
	redis_group_drop(group);
	SAY(&command, "XREADGROUP", "GROUP", group->config->name, group->consumer, "COUNT", "1", "BLOCK", wait,
	    "STREAMS", group->config->stream, ">");
	int code = ask(group, NULL, &command, &reply, err);
	if (code)
		return code;
	group->reply = reply;
	bool any = is_array(reply, 1) && is_array(reply->element[0], 2);
	code = any ? add_entries(group, reply->element[0]->element[1]) : 0;
	group->kept = weir_clock();
	group->pages++;
	return code ? fail_page(group, code, err) : 0;
}

/* ---- entries in hand */

int redis_group_acknowledge(struct redis_group *group, size_t first, size_t n, struct weir_error *err)
{
	struct redis_command command = {0};
	redisReply *reply;
	size_t left = 0;
	SAY(&command, "XACK", group->config->stream, group->config->name);
	for (size_t i = first; i < first + n; i++)
		if (!group->entries[i].lost) {
			redis_add_text(&command, group->entries[i].id);
			left++;
		}
	if (!left) {
		redis_command_fini(&command);
		return 0;
	}
	int code = ask(group, NULL, &command, &reply, err);
	if (!code)
		freeReplyObject(reply);
	return code;
}

/* Ids are in the order of the page. */
static void find_lost(struct redis_group *group, size_t first, const redisReply *ids)
{
	size_t at = 0;
	for (size_t i = first; i < group->n; i++) {
		struct redis_entry *entry = &group->entries[i];
		bool is_there = at < ids->elements && is_text(ids->element[at]) &&
				strcmp(ids->element[at]->str, entry->id) == 0;
		at += is_there;
		entry->lost = !is_there && !entry->gone;
	}
}

int redis_group_keep(struct redis_group *group, size_t first, struct weir_error *err)
{
	struct redis_command command = {0};
	redisReply *reply;
	uint64_t page = group->pages;
	while (first < group->n && group->entries[first].gone)
		first++;
	if (first >= group->n)
		return 0;
	SAY(&command, "1", group->config->stream, group->config->name, group->consumer, group->entries[first].id,
	    group->entries[group->n - 1].id);
	redis_add_number(&command, (int64_t)(group->n - first));
	int code = ask(group, redis_lua_keep, &command, &reply, err);
	if (code)
		return code;
	if (page == group->pages && is_array(reply, 0)) {
		find_lost(group, first, reply);
		group->kept = weir_clock();
	}
	freeReplyObject(reply);
	return 0;
}

int redis_group_pending(struct redis_group *group, int64_t *ret_n, struct weir_error *err)
{
	struct redis_command command = {0};
	redisReply *reply;
	SAY(&command, "XPENDING", group->config->stream, group->config->name);
	int code = ask(group, NULL, &command, &reply, err);
	if (code)
		return code;
	bool is_summary = is_array(reply, 1) && reply->element[0]->type == REDIS_REPLY_INTEGER;
	*ret_n = is_summary ? reply->element[0]->integer : 0;
	freeReplyObject(reply);
	return is_summary ? 0 : refuse_answer(group, err);
}

void redis_group_leave(struct redis_group *group)
{
	struct redis_command command = {0};
	redisReply *reply;
	SAY(&command, "1", group->config->stream, group->config->name, group->consumer);
	if (!ask(group, redis_lua_leave, &command, &reply, NULL))
		freeReplyObject(reply);
}
