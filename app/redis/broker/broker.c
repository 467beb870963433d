/* SPDX-License-Identifier: MIT */
/*
 * `redis: { url: redis://HOST }`: a broker for any number of processes, on any machine.  broker.h is the map of its
 * files, redis/scripts.h says what is at the server.
 *
 * A put is told from all others by the tag behind its cursor: so it may be sent again, and a source that stands where
 * it stood before (a pipe that begins anew) puts nothing that seems to be there already.
 */
#include "redis/broker/broker.h"

#include "port/adapters.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

#define FULL_PERIOD (50 * WEIR_MSEC)
#define WAIT_MS     "1000"

/* ---- put */

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

enum { PUT_FULL = 2, PUT_AGAIN };

static int note_cursor(struct redis_broker *broker, const char *text)
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
		code = note_cursor(broker, reply->element[1]->str) ? WEIR_ENOMEM : BROKER_MOVED;
	else
		code = redis_says(reply, "FULL") ? PUT_FULL : wait_for_replicas(broker, err);
	freeReplyObject(reply);
	return code;
}

/* Another process reads the source: this one looks whether that goes on, and joins again. */
static int wait_for_room(struct redis_broker *broker, int why, weir_nsec deadline)
{
	weir_nsec until = weir_now() + FULL_PERIOD;
	if (why == PUT_AGAIN && broker->joined)
		redis_lose_all(broker);
	bool is_last = deadline != WEIR_FOREVER && deadline <= until;
	int code = weir_event_wait(broker->room, is_last ? deadline : until);
	return code == WEIR_ETIMEDOUT && !is_last ? 0 : code;
}

static void note_put(struct redis_broker *broker, struct item *const *items, size_t n, const char *cursor)
{
	note_cursor(broker, cursor);
	broker->puts++;
	broker->has_moved = false;
	broker->counts.accounts.read += n;
	broker->counts.ended = false;
	broker->left += n;
	for (size_t i = 0; i < n; i++)
		item_free(items[i]);
}

static int redis_put(struct broker *handle, struct item *const *items, size_t n, const struct source_cursor *was,
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
		if ((code = wait_for_room(broker, code, deadline)))
			return code;
	}
	note_put(broker, items, n, text);
	return 0;
}

static int redis_seal(struct broker *handle, struct weir_error *err, weir_nsec deadline)
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
	if (redis_says(reply, "MOVED"))
		code = note_cursor(broker, reply->element[1]->str) ? WEIR_ENOMEM : BROKER_MOVED;
	else if (reply->element[1]->integer)
		broker->ended = true;
	freeReplyObject(reply);
	redis_look_all(broker);
	return code;
}

/* ---- what becomes of items */

static void free_items(struct item *const *items, size_t n)
{
	for (size_t i = 0; i < n; i++)
		item_free(items[i]);
}

static int redis_ack(struct broker *handle, struct item *const *items, size_t n, enum broker_outlet outlet,
		     const struct value *position, struct weir_error *err, weir_nsec deadline)
{
	(void)outlet, (void)position, (void)deadline; /* several write, so a position would be nobody's */
	int code = redis_settle((struct redis_broker *)handle, SETTLE_DONE, items, n, 0, err);
	if (!code)
		free_items(items, n);
	return code;
}

static int redis_nack(struct broker *handle, struct item *item, weir_nsec wait, struct weir_error *err,
		      weir_nsec deadline)
{
	(void)deadline;
	int code = redis_settle((struct redis_broker *)handle, SETTLE_RETRY, &item, 1, wait, err);
	if (!code)
		item_free(item);
	return code;
}

static int redis_bury(struct broker *handle, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	(void)deadline;
	int code = redis_settle((struct redis_broker *)handle, SETTLE_BURY, &item, 1, 0, err);
	if (!code)
		item_free(item);
	return code;
}

static int redis_extend(struct broker *handle, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	(void)deadline;
	return redis_settle((struct redis_broker *)handle, SETTLE_KEEP, &item, 1, 0, err);
}

static bool redis_holds(const struct broker *handle, const struct item *item)
{
	return redis_find_held((const struct redis_broker *)handle, item);
}

static void redis_stop(struct broker *handle)
{
	struct redis_broker *broker = (struct redis_broker *)handle;
	broker->stopped = true;
	redis_look_all(broker);
}

static void redis_grow(struct broker *handle, size_t capacity_items)
{
	struct redis_broker *broker = (struct redis_broker *)handle;
	if (capacity_items > broker->capacity_items)
		broker->capacity_items = capacity_items;
}

static void redis_counts(const struct broker *handle, struct broker_counts *ret_counts)
{
	const struct redis_broker *broker = (const struct redis_broker *)handle;
	uint64_t leased = broker->held.n - broker->line_items, away = leased + broker->counts.waiting;
	*ret_counts = broker->counts;
	ret_counts->leased = leased;
	ret_counts->ready = broker->left > away ? broker->left - away : 0;
	ret_counts->filled = (double)broker->left / (double)broker->config->max_items;
	ret_counts->ended = broker->ended || broker->counts.ended;
}

/* ---- open and close */

void redis_key_name(const struct redis_broker *broker, size_t key, struct buf *out)
{
	if (key < REDIS_FRESH_KEY)
		buf_addf(out, "%s%s", broker->prefix, redis_key_names[key]);
	else
		buf_addf(out, "%sfresh:%zu", broker->prefix, key - REDIS_FRESH_KEY);
}

/* Whatever the name is, its keys have one pair of braces, and are one word in a shell. */
static int name_keys(struct redis_broker *broker)
{
	struct redis_command keys = {0};
	struct buf prefix = {0};
	buf_add_str(&prefix, "weir:{");
	buf_add_percent(&prefix, broker->opts.name, strlen(broker->opts.name));
	buf_add_str(&prefix, "}:");
	broker->prefix = prefix.failed ? NULL : buf_take(&prefix, NULL);
	buf_fini(&prefix);
	if (!broker->prefix)
		return WEIR_ENOMEM;
	redis_add_number(&keys, REDIS_KEY_COUNT);
	for (size_t i = 0; i < REDIS_KEY_COUNT; i++) {
		struct buf name = {0};
		redis_key_name(broker, i, &name);
		redis_add(&keys, name.data, name.len);
		keys.words.failed |= name.failed;
		buf_fini(&name);
	}
	broker->all_keys = keys.words;
	broker->key_words = keys.n;
	return keys.words.failed ? WEIR_ENOMEM : 0;
}

static int connect_to(struct redis_broker *broker, struct redis **ret_redis, struct weir_error *err)
{
	const struct redis_options opts = {.url = broker->config->url, .connect = 4 * WEIR_SEC};
	int code = redis_open(&opts, ret_redis, err, WEIR_FOREVER);
	if (!code || code == WEIR_ENOMEM || code == WEIR_ECANCELED)
		return code;
	err->code = code == WEIR_EINVAL || code == WEIR_EDATA ? WEIR_EINVAL : WEIR_EBUSY;
	return err->code;
}

static int connect_all(struct redis_broker *broker, struct weir_error *err)
{
	int code = connect_to(broker, &broker->redis, err);
	if (!code)
		code = connect_to(broker, &broker->waiting, err);
	broker->putting = broker->redis;
	if (!code && broker->config->wait)
		code = connect_to(broker, &broker->putting, err);
	return code ? code : redis_check_server(broker, err);
}

static int make_objects(struct redis_broker *broker)
{
	int code = fleet_host_here(&broker->host);
	if (!code && getrandom(&broker->tag, sizeof broker->tag, 0) != sizeof broker->tag)
		code = WEIR_EIO;
	if (!code)
		code = name_keys(broker);
	if (!code)
		code = weir_group_new(NULL, &broker->fibers);
	if (!code)
		code = weir_event_new(&broker->room);
	if (!code)
		code = weir_event_new(&broker->meet_now);
	if (!code)
		code = redis_take_open(broker);
	return code ? code : redis_settle_open(broker);
}

static void free_broker(struct redis_broker *broker)
{
	if (broker->putting != broker->redis)
		redis_close(broker->putting);
	redis_close(broker->waiting);
	redis_close(broker->redis);
	redis_settle_free(broker);
	redis_take_free(broker);
	fleet_watch_free(broker->watch);
	weir_event_free(broker->room);
	weir_event_free(broker->meet_now);
	weir_group_free(broker->fibers);
	buf_fini(&broker->all_keys);
	buf_fini(&broker->silent);
	free(broker->prefix);
	free(broker->name);
	free(broker->cursor);
	free(broker->source);
	free(broker);
}

static int redis_open_broker(const void *config, const struct broker_options *opts, struct broker **ret_broker,
			     struct weir_error *err)
{
	struct redis_broker *broker = calloc(1, sizeof *broker);
	if (!broker)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	broker->config = config;
	broker->opts = *opts;
	broker->capacity_items = opts->capacity_items;
	STAILQ_INIT(&broker->line);
	for (int i = 0; i < REDIS_SCRIPTS; i++)
		redis_script_init(&broker->scripts[i], redis_script_texts[i]);
	int code = make_objects(broker);
	if (code)
		weir_error_set(err, code, "redis broker: %s", weir_strerror(code));
	else
		code = connect_all(broker, err);
	if (code) {
		free_broker(broker);
		return code;
	}
	*ret_broker = (struct broker *)broker;
	return 0;
}

static int redis_close_broker(struct broker *handle, struct weir_error *err)
{
	struct redis_broker *broker = (struct redis_broker *)handle;
	(void)err;
	weir_shield_enter();
	broker->stopped = true;
	if (weir_group_alive(broker->fibers) && broker->joined)
		redis_give_line(broker);
	weir_group_cancel(broker->fibers);
	weir_group_wait(broker->fibers, WEIR_FOREVER);
	if (broker->name)
		redis_leave(broker);
	free_broker(broker);
	weir_shield_leave();
	return 0;
}

static const struct fleet_ops fleet = {.look = redis_look, .tell = redis_tell};

static const struct broker_ops redis_ops = {
	.exactness = BROKER_SHARED,
	.queue = {.put = redis_put,
		  .seal = redis_seal,
		  .lease = redis_lease,
		  .extend = redis_extend,
		  .holds = redis_holds,
		  .ack = redis_ack,
		  .nack = redis_nack,
		  .bury = redis_bury,
		  .stop = redis_stop,
		  .grow = redis_grow,
		  .counts = redis_counts},
	.journal = {.recall = redis_recall,
		    .forget = redis_forget,
		    .begin = redis_begin,
		    .audit = redis_audit,
		    .letters = redis_letters},
	.fleet = &fleet,
	.open = redis_open_broker,
	.close = redis_close_broker,
};

#define FIELD(name) offsetof(struct redis_broker_config, name)

static const struct key keys[] = {
	{"url", KEY_STRING, FIELD(url), "redis://127.0.0.1", .flags = KEY_PACE,
	 .text = "Address of the server: redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], or "
		 "redis+unix://[[USER]:PASSWORD@]/PATH[?db=DATABASE]"},
	{"lease", KEY_DURATION, FIELD(lease), "60s", WEIR_SEC, 86400 * WEIR_SEC, .flags = KEY_PACE,
	 .text = "How long a worker may be silent before its items go to the others"},
	{"deaths", KEY_COUNT, FIELD(deaths), "5", 1, 1000, .flags = KEY_PACE,
	 .text = "Number of workers that may die with an item before it becomes a dead letter"},
	{"max_items", KEY_COUNT, FIELD(max_items), "1000000", 1, INT64_C(1) << 40, .flags = KEY_PACE,
	 .text = "Maximum number of unfinished items; when it is reached, the source is not read until items are "
		 "settled"},
	{"max_size", KEY_SIZE, FIELD(max_size), "1GiB", 1 << 20, INT64_C(1) << 42, .flags = KEY_PACE,
	 .text = "Maximum memory of unfinished items at the server; when it is reached, the source is not read until "
		 "items "
		 "are settled"},
	{"wait", KEY_COUNT, FIELD(wait), "0", 0, 100, .flags = KEY_PACE,
	 .text = "Number of replicas that must have items before they count as read"},
	{.name = NULL},
};

const struct adapter broker_redis_adapter = {
	.kind = ADAPTER_BROKER,
	.name = "redis",
	.text = "Keeps accepted items, their attempts and the dead letters in Redis, for any number of processes on "
		"any "
		"number of machines; what a process had that was killed goes to the others",
	.keys = keys,
	.config_bytes = sizeof(struct redis_broker_config),
	.shorthand = "url",
	.broker = &redis_ops,
};
