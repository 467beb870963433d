/* SPDX-License-Identifier: MIT */
/*
 * One fiber, the driver, owns the socket.
 *
 *     call() --words--> out --send--> server --recv--> reader --reply--> the oldest of `calls`
 *
 * Who calls appends a command to `out` and itself to `calls`, wakes the driver and sleeps; so whatever was written in
 * one turn of the loop goes out in one piece.  Who does not want to wait any longer leaves its struct call behind,
 * abandoned, since the answer will come.  When the connection breaks, those of whose command not a byte was sent are
 * told WEIR_EBUSY, the others WEIR_EIO.
 */
#include "redis/client.h"

#include "data/secret.h"
#include "redis/wire.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/socket.h>
#include <weir/backoff.h>
#include <weir/event.h>
#include <weir/group.h>
#include <weir/io.h>

enum { READS_AT_ONCE = 16, SPARE_CALLS = 64 };

#define MOST_BYTES    ((size_t)64 << 20)
#define MOST_ELEMENTS ((size_t)1 << 20)

struct call {
	STAILQ_ENTRY(call) next;
	struct weir_event *done;
	uint64_t begins;   /* which byte of the connection is its first */
	redisReply *reply; /* NULL with the code of a failure */
	int code;
	bool abandoned;
};

struct redis {
	struct redis_url url;
	struct redis_wire wire;
	bool is_open; /* the wire is logged in: not between two connections */
	weir_nsec patience, connect_time;
	struct weir_group *driver;
	uint64_t queued;   /* bytes for this connection */
	weir_nsec waiting; /* since when the oldest call waits: not before */
	STAILQ_HEAD(call_list, call) calls, spare;
	size_t spares;
	uint64_t connections, random;
};

/* ---- calls */

static void free_call(struct call *call)
{
	weir_event_free(call->done);
	free(call);
}

static struct call *new_call(struct redis *redis)
{
	struct call *call = STAILQ_FIRST(&redis->spare);
	if (call) {
		STAILQ_REMOVE_HEAD(&redis->spare, next);
		redis->spares--;
		return call;
	}
	call = calloc(1, sizeof *call);
	if (call && weir_event_new(&call->done)) {
		free(call);
		return NULL;
	}
	return call;
}

static void retire_call(struct redis *redis, struct call *call)
{
	if (redis->spares == SPARE_CALLS) {
		free_call(call);
		return;
	}
	weir_event_clear(call->done);
	call->reply = NULL;
	call->abandoned = false;
	STAILQ_INSERT_HEAD(&redis->spare, call, next);
	redis->spares++;
}

static void settle_first(struct redis *redis, redisReply *reply, int code)
{
	struct call *call = STAILQ_FIRST(&redis->calls);
	STAILQ_REMOVE_HEAD(&redis->calls, next);
	call->reply = reply;
	call->code = code;
	if (!call->abandoned) {
		weir_event_set(call->done);
		return;
	}
	freeReplyObject(reply);
	retire_call(redis, call);
}

/* ---- the connection */

static void disconnect(struct redis *redis)
{
	uint64_t sent = redis->wire.sent;
	redis->is_open = false;
	redis_wire_close(&redis->wire);
	while (!STAILQ_EMPTY(&redis->calls))
		settle_first(redis, NULL, STAILQ_FIRST(&redis->calls)->begins >= sent ? WEIR_EBUSY : WEIR_EIO);
}

/* Connects, or leaves no connection and says why in wire.trouble.  Nobody calls before it is logged in: the answers to
 * what came before that would be those of others. */
static int establish(struct redis *redis, weir_nsec deadline)
{
	weir_nsec limit = weir_now() + redis->connect_time;
	int code = redis_wire_open(&redis->wire, deadline == WEIR_FOREVER || deadline > limit ? limit : deadline);
	redis->is_open = !code;
	redis->connections += !code;
	redis->queued = 0;
	return code;
}

/* ---- the driver */

static int hand_out(struct redis *redis)
{
	redisReply *reply;
	int code;
	while ((code = redis_wire_next(&redis->wire, &reply)) > 0) {
		if (STAILQ_EMPTY(&redis->calls)) {
			freeReplyObject(reply);
			return redis_wire_lose(&redis->wire, WEIR_EIO, "sent an answer to nothing");
		}
		settle_first(redis, reply, 0);
	}
	return code;
}

static int read_all(struct redis *redis)
{
	bool more = true;
	int code = 0;
	for (int i = 0; i < READS_AT_ONCE && more && !code; i++)
		if (!(code = redis_wire_read(&redis->wire, &more, WEIR_TRY)) && more)
			code = hand_out(redis);
	return code;
}

/* Until the connection is lost: why. */
static int serve(struct redis *redis)
{
	for (;;) {
		bool more;
		int code = redis_wire_flush(&redis->wire, &more);
		if (code)
			return code;
		weir_nsec since = redis->wire.heard > redis->waiting ? redis->wire.heard : redis->waiting;
		unsigned events = WEIR_READABLE | (more ? WEIR_WRITABLE : 0u);
		int got = weir_io_wait(redis->wire.io, events,
				       STAILQ_EMPTY(&redis->calls) ? WEIR_FOREVER : since + redis->patience);
		if (got == WEIR_ETIMEDOUT)
			return redis_wire_lose(&redis->wire, WEIR_EIO, "does not answer");
		if (got < 0)
			return redis_wire_lose_to(&redis->wire, got);
		if ((got & WEIR_READABLE) && (code = read_all(redis)))
			return code;
	}
}

static int drive(void *arg)
{
	static const struct weir_backoff backoff = {
		.base = 50 * WEIR_MSEC, .cap = 2 * WEIR_SEC, .jitter = WEIR_JITTER_EQUAL};
	struct redis *redis = arg;
	unsigned failures = 0;
	while (!weir_canceled()) {
		if (redis->is_open) {
			serve(redis);
			disconnect(redis);
			failures = 0;
		}
		weir_sleep(weir_backoff_wait(&backoff, ++failures, 0, &redis->random));
		establish(redis, WEIR_FOREVER);
	}
	disconnect(redis);
	return 0;
}

/* ---- open and close */

static void free_redis(struct redis *redis)
{
	struct call *call;
	while ((call = STAILQ_FIRST(&redis->spare))) {
		STAILQ_REMOVE_HEAD(&redis->spare, next);
		free_call(call);
	}
	weir_group_free(redis->driver);
	redis_url_fini(&redis->url);
	free(redis);
}

int redis_open(const struct redis_options *opts, struct redis **ret_redis, struct weir_error *err, weir_nsec deadline)
{
	struct redis *redis = calloc(1, sizeof *redis);
	if (!redis)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	STAILQ_INIT(&redis->calls);
	STAILQ_INIT(&redis->spare);
	redis->wire.fd = -1;
	redis->wire.url = &redis->url;
	redis->random = (uint64_t)weir_clock() ^ (uintptr_t)redis;
	redis->wire.most_bytes = opts->most_bytes ? opts->most_bytes : MOST_BYTES;
	redis->wire.most_elements = opts->most_elements ? opts->most_elements : MOST_ELEMENTS;
	redis->patience = opts->patience ? opts->patience : 10 * WEIR_SEC;
	redis->connect_time = opts->connect ? opts->connect : 5 * WEIR_SEC;
	redis->wire.replica = opts->replica;
	int code = redis_url_parse(opts->url, &redis->url, err);
	if (code) {
		free_redis(redis);
		return code;
	}
	code = establish(redis, deadline);
	if (code == WEIR_ECANCELED)
		weir_error_set(&redis->wire.trouble, code, "cancelled");
	if (!code && ((code = weir_group_new(NULL, &redis->driver)) ||
		      (code = weir_group_spawn(redis->driver, drive, redis, WEIR_FOREVER)))) {
		redis_wire_lose_to(&redis->wire, code);
		disconnect(redis);
	}
	if (code) {
		weir_error_set(err, code, "%s", redis->wire.trouble.text);
		free_redis(redis);
		return code;
	}
	*ret_redis = redis;
	return 0;
}

int redis_open_end(const char *url, struct redis **ret_redis, struct weir_error *err)
{
	const struct redis_options opts = {.url = url};
	int code = redis_open(&opts, ret_redis, err, WEIR_FOREVER);
	switch (code) {
	case 0:
	case WEIR_EINVAL:
	case WEIR_ECANCELED:
		return code;
	case WEIR_EDATA:
		return err->code = WEIR_EINVAL;
	case WEIR_EBUSY:
		return err->code = WEIR_EAGAIN;
	default:
		return err->code = WEIR_EBUSY;
	}
}

void redis_close(struct redis *redis)
{
	if (!redis)
		return;
	weir_group_cancel(redis->driver);
	weir_shield_enter();
	weir_group_wait(redis->driver, WEIR_FOREVER);
	weir_shield_leave();
	free_redis(redis);
}

uint64_t redis_connections(const struct redis *redis)
{
	return redis->connections;
}

const char *redis_name(const struct redis *redis)
{
	return redis->url.name;
}

/* ---- calling */

/* Errors of a server that has not begun with the command, by how they begin. */
static int code_of(const char *says)
{
	static const struct {
		const char *prefix;
		int code;
	} kinds[] = {
		{"LOADING ", WEIR_EBUSY},    {"BUSY ", WEIR_EBUSY},        {"MASTERDOWN ", WEIR_EBUSY},
		{"TRYAGAIN ", WEIR_EBUSY},   {"CLUSTERDOWN ", WEIR_EBUSY}, {"READONLY ", WEIR_EBUSY},
		{"NOREPLICAS ", WEIR_EBUSY}, {"OOM ", WEIR_ENOSPC},        {"MISCONF ", WEIR_ENOSPC},
	};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (!strncmp(says, kinds[i].prefix, strlen(kinds[i].prefix)))
			return kinds[i].code;
	return WEIR_EDATA;
}

/* Of an answer that is an error, which is freed. */
static int fail_call(struct redis *redis, redisReply *reply, struct weir_error *err)
{
	int code = code_of(reply->str);
	if (code == WEIR_EDATA)
		weir_error_set(err, code, "%s", reply->str);
	else
		weir_error_set(err, code, "Redis at %s: %s", redis->url.name, reply->str);
	if (err)
		secret_hide_text(err->text);
	/* The server has become a replica: the next connection may lead to another one. */
	if (!strncmp(reply->str, "READONLY ", 9) && redis->is_open)
		shutdown(redis->wire.fd, SHUT_RDWR);
	freeReplyObject(reply);
	return code;
}

/* Appends the command and waits.  head: words before it. */
static int call_with(struct redis *redis, const struct redis_command *head, const struct redis_command *rest,
		     redisReply **ret_reply, struct weir_error *err, weir_nsec deadline)
{
	if (weir_canceled())
		return WEIR_ECANCELED;
	if (!redis->is_open)
		return weir_error_set(err, WEIR_EBUSY, "%s", redis->wire.trouble.text);
	struct call *call = head->words.failed || rest->words.failed ? NULL : new_call(redis);
	size_t was = redis->wire.out.len;
	if (call) {
		buf_addf(&redis->wire.out, "*%zu\r\n", head->n + rest->n);
		buf_add(&redis->wire.out, head->words.data, head->words.len);
		buf_add(&redis->wire.out, rest->words.data, rest->words.len);
	}
	if (!call || redis->wire.out.failed) {
		redis->wire.out.len = was;
		redis->wire.out.failed = false;
		if (call)
			retire_call(redis, call);
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	}
	call->begins = redis->queued;
	redis->queued += redis->wire.out.len - was;
	if (STAILQ_EMPTY(&redis->calls))
		redis->waiting = weir_now();
	STAILQ_INSERT_TAIL(&redis->calls, call, next);
	weir_io_wake(redis->wire.io);
	int code = weir_event_wait(call->done, deadline);
	if (code && !weir_event_is_set(call->done)) {
		call->abandoned = true;
		return weir_error_set(err, code, "Redis at %s: %s", redis->url.name, weir_strerror(code));
	}
	redisReply *reply = call->reply;
	code = call->code;
	retire_call(redis, call);
	if (!reply)
		return weir_error_set(err, code, "%s", redis->wire.trouble.text);
	if (reply->type == REDIS_REPLY_ERROR)
		return fail_call(redis, reply, err);
	*ret_reply = reply;
	return 0;
}

int redis_call(struct redis *redis, const struct redis_command *command, redisReply **ret_reply, struct weir_error *err,
	       weir_nsec deadline)
{
	static const struct redis_command none = {0};
	return call_with(redis, &none, command, ret_reply, err, deadline);
}

static int eval_as(struct redis *redis, const char *verb, const char *what, const struct redis_command *rest,
		   redisReply **ret_reply, struct weir_error *err, weir_nsec deadline)
{
	struct redis_command head = {0};
	redis_add_text(&head, verb);
	redis_add_text(&head, what);
	int code = call_with(redis, &head, rest, ret_reply, err, deadline);
	redis_command_fini(&head);
	return code;
}

int redis_eval(struct redis *redis, const struct redis_script *script, const struct redis_command *rest,
	       redisReply **ret_reply, struct weir_error *err, weir_nsec deadline)
{
	struct weir_error own;
	int code = eval_as(redis, "EVALSHA", script->sha, rest, ret_reply, err ? err : &own, deadline);
	if (code == WEIR_EDATA && !strncmp((err ? err : &own)->text, "NOSCRIPT", 8))
		code = eval_as(redis, "EVAL", script->text, rest, ret_reply, err, deadline);
	return code;
}
