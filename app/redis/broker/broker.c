/* SPDX-License-Identifier: MIT */
/*
 * `redis: { url: redis://HOST }`: a broker for any number of processes, on any machine.  state.h is the map of its
 * files, redis/scripts.h says what is at the server.
 */
#include "redis/broker/state.h"

#include "port/adapters.h"
#include "redis/url.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/random.h>

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

/* ---- begin */

static int start_fibers(struct redis_broker *broker)
{
	static const struct {
		struct weir_spawn_options opts;
		weir_fiber_fn run;
	} fibers[] = {
		{{.name = "meeter"}, redis_meeter},
		{{.name = "taker"}, redis_taker},
		{{.name = "waker"}, redis_waker},
		{{.name = "mover"}, redis_mover},
	};
	static const struct weir_spawn_options settler = {.name = "settler"};
	int code = 0;
	for (size_t i = 0; i < sizeof fibers / sizeof *fibers && !code; i++)
		code = weir_group_spawn_with(broker->fibers, &fibers[i].opts, fibers[i].run, broker, WEIR_FOREVER);
	for (size_t i = 0; i < SETTLINGS && !code; i++)
		code = weir_group_spawn_with(broker->fibers, &settler, redis_settler, &broker->settlers[i],
					     WEIR_FOREVER);
	return code;
}

/* The first meeting is before anything is handed out: who is gone is taken out, and what may be used is known. */
static int redis_begin(struct broker *handle, const struct broker_start *start, struct weir_error *err,
		       weir_nsec deadline)
{
	struct redis_broker *broker = (struct redis_broker *)handle;
	weir_nsec wait;
	bool is_new = strcmp(start->was, start->run) != 0;
	(void)deadline;
	snprintf(broker->run, sizeof broker->run, "%s", start->run);
	broker->submits = start->source != NULL;
	free(broker->source); /* it may begin again */
	broker->source = NULL;
	if (start->source && asprintf(&broker->source, "=%s", start->source) < 0) {
		broker->source = NULL;
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	}
	broker->steady = weir_now() - (is_new ? FLEET_SHARE_LIFE : 0);
	int code = redis_join(broker, start, err);
	if (!code) {
		broker->taken_over = redis_connections(broker->redis);
		code = redis_meet_once(broker, &wait, err);
		if (code == WEIR_EBUSY) /* the meeter tries again; this worker has no share of a limit until then */
			code = 0;
	}
	if (code == CALL_FENCED || code == CALL_CHANGED)
		code = BROKER_MOVED;
	if (!code && start_fibers(broker))
		code = weir_error_set(err, WEIR_ENOMEM, "out of memory");
	return code;
}

/* ---- open and close */

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
	switch (code) {
	case 0:
	case WEIR_EBUSY:
	case WEIR_EINVAL:
	case WEIR_ENOMEM:
	case WEIR_ECANCELED:
		return code;
	case WEIR_EDATA:
		return err->code = WEIR_EINVAL;
	default:
		return err->code = WEIR_ENOENT;
	}
}

static int check_rights(struct redis_broker *broker, struct weir_error *err)
{
	struct redis_command rest = {0};
	redisReply *reply;
	redis_add_keys(broker, &rest);
	int code = redis_run(broker, broker->redis, REDIS_RIGHTS, &rest, &reply, err);
	if (code)
		return code;
	code = redis_check_rights(broker, reply, err);
	freeReplyObject(reply);
	return code;
}

static int connect_all(struct redis_broker *broker, struct weir_error *err)
{
	int code = connect_to(broker, &broker->redis, err);
	if (!code)
		code = connect_to(broker, &broker->waiting, err);
	broker->putting = broker->redis;
	if (!code && broker->config->wait)
		code = connect_to(broker, &broker->putting, err);
	if (!code)
		code = check_rights(broker, err);
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
	free(broker->prefix);
	free(broker->name);
	free(broker->cursor);
	free(broker->source);
	free(broker->plan);
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
	.queue = {.put_most = REDIS_ITEMS_MOST,
		  .put = redis_put,
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

/* ---- the config */

/* A number must stand still for so many meetings, whatever the lease says: in whole seconds. */
#define LEASE_LEAST (FLEET_ROUNDS * FLEET_MEETING / WEIR_SEC * WEIR_SEC)

static int check(const void *any, const char **ret_key, struct weir_error *err)
{
	const struct redis_broker_config *config = any;
	struct redis_url url;
	*ret_key = "url";
	int code = redis_url_parse(config->url, &url, err);
	if (code)
		return code;
	redis_url_fini(&url);
	*ret_key = "lease";
	return config->lease >= LEASE_LEAST
		       ? 0
		       : weir_error_set(err, 1,
					"a lease below %" PRId64 "s counts as %" PRId64
					"s: others watch a worker for %d rounds before they take it for dead",
					LEASE_LEAST / WEIR_SEC, LEASE_LEAST / WEIR_SEC, FLEET_ROUNDS);
}

#define FIELD(name) offsetof(struct redis_broker_config, name)

static const struct key keys[] = {
	{"url", KEY_STRING, FIELD(url), "redis://127.0.0.1", .flags = KEY_PACE,
	 .text = "Address of the server: redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE], or "
		 "redis+unix://[[USER]:PASSWORD@]/PATH[?db=DATABASE]"},
	{"lease", KEY_DURATION, FIELD(lease), "60s", WEIR_SEC, 86400 * WEIR_SEC, .flags = KEY_PACE,
	 .text = "How long a worker may be silent before its items go to the others; less than 5s counts as 5s"},
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
	.check = check,
	.broker = &redis_ops,
};
