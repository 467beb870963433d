/* SPDX-License-Identifier: MIT */
/* Whether a server is fit to keep a queue, and what to do if it is not. */
#include "redis/broker/state.h"

#include <stdlib.h>

static int refuse_rights(const struct redis_broker *broker, const char *what, struct weir_error *err)
{
	return weir_error_set(
		err, WEIR_EINVAL,
		"Redis at %s does not let weir in: %s; give its user the keys and commands of a queue: ACL "
		"SETUSER USER ~weir:* +@all -@admin -@dangerous +info",
		redis_name(broker->redis), what);
}

/* ---- it may not forget keys by itself */

/* The value of a line "NAME:VALUE\r\n", as a copy; NULL: there is none. */
static char *info_line(const char *text, const char *name)
{
	const char *line = strstr(text, name);
	return line ? strndup(line + strlen(name), strcspn(line + strlen(name), "\r\n")) : NULL;
}

int redis_check_server(struct redis_broker *broker, struct weir_error *err)
{
	struct redis_command command = {0};
	redisReply *reply;
	redis_add_text(&command, "INFO");
	redis_add_text(&command, "memory");
	int code = redis_call(broker->redis, &command, &reply, err, WEIR_FOREVER);
	redis_command_fini(&command);
	if (code)
		return redis_explain(broker, code, err);
	char *policy = info_line(reply->str, "\nmaxmemory_policy:");
	if (policy && !strncmp(policy, "allkeys-", 8))
		code = weir_error_set(err, WEIR_EINVAL,
				      "Redis at %s evicts any key when its memory is full (maxmemory-policy: %s), also "
				      "unfinished items; set it to noeviction: CONFIG SET maxmemory-policy noeviction",
				      redis_name(broker->redis), policy);
	free(policy);
	freeReplyObject(reply);
	return code;
}

/* ---- it must let us in */

int redis_check_rights(struct redis_broker *broker, const redisReply *rights, struct weir_error *err)
{
	return redis_says(rights, "RIGHTS") ? refuse_rights(broker, rights->element[1]->str, err) : 0;
}

/* ---- keys of others */

static const char *type_of(size_t key)
{
	static const char *const types[] = {"hash", "hash", "hash", "hash", "list",
					    "zset", "zset", "hash", "hash", "hash"};
	return key < sizeof types / sizeof *types ? types[key] : "stream";
}

/* Whether the key has another type than ours, which is in `type`. */
static bool is_foreign(struct redis_broker *broker, size_t key, const char *name, char type[32])
{
	struct redis_command command = {0};
	redisReply *reply;
	redis_add_text(&command, "TYPE");
	redis_add_text(&command, name);
	int code = redis_call(broker->redis, &command, &reply, NULL, WEIR_FOREVER);
	redis_command_fini(&command);
	if (code)
		return false;
	snprintf(type, 32, "%s", reply->str);
	freeReplyObject(reply);
	return strcmp(type, "none") != 0 && strcmp(type, type_of(key)) != 0;
}

static int blame_key(struct redis_broker *broker, struct weir_error *err)
{
	char type[32];
	for (size_t i = 0; i < REDIS_KEY_COUNT; i++) {
		struct buf name = {0};
		redis_key_name(broker, i, &name);
		bool found = !name.failed && is_foreign(broker, i, name.data, type);
		if (found)
			weir_error_set(
				err, WEIR_EINVAL,
				"the key %s in Redis at %s is a %s of another program, in the place of the queue; "
				"remove it, or give the pipeline another name (name: ...)",
				name.data, redis_name(broker->redis), type);
		buf_fini(&name);
		if (found)
			break;
	}
	return WEIR_EINVAL;
}

/* ---- */

int redis_explain(struct redis_broker *broker, int code, struct weir_error *err)
{
	if (code == WEIR_EIO)
		return err->code = WEIR_EBUSY;
	if (code != WEIR_EDATA)
		return code;
	err->code = WEIR_EINVAL;
	if (!strncmp(err->text, "WRONGTYPE", 9))
		return blame_key(broker, err);
	char *says = strdup(err->text);
	if (says && (!strncmp(says, "NOPERM", 6) || strstr(says, "permission")))
		refuse_rights(broker, says, err);
	else if (says)
		weir_error_set(err, WEIR_EINVAL, "Redis at %s: %s", redis_name(broker->redis), says);
	free(says);
	return WEIR_EINVAL;
}
