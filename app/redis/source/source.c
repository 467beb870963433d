/* SPDX-License-Identifier: MIT */
/*
 * `redis_stream: { url: 'redis://…', stream: orders, group: workers }`: the entries of a stream that a consumer group
 * shares, each a JSON object.
 *
 *     fresh --read--> pending with us --given--> in a batch --put--> stored --XACK--> gone
 *                         ^
 *     pending with others '-- claimed, when they have not acknowledged it for claim_idle
 *
 * A page is read when the one before was given and accepted: so nothing but the page is pending with this consumer, and
 * whatever is found there after a lost connection or a crash belongs to no page yet, with one exception: what was
 * stored and not acknowledged any more.  That is at most what was given between two calls of accept(), and the cursor
 * has its first and last id.  Nobody else has, or will ever have, an entry between these two (page.lua), so each that
 * is pending with us there was stored.
 *
 * The consumer's name is a part of the identity: a run that resumes finds what is pending with it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <weir/weir.h>

#include "port/adapters.h"
#include "redis/source/entry.h"
#include "redis/source/group.h"
#include "redis/url.h"

#define AGAIN_PAUSE (100 * WEIR_MSEC)
#define WAIT_MOST   (2 * WEIR_SEC) /* less than the client's patience */

#define NO_ID "0-0"

enum start { START_FIRST, START_NEW };

struct redis_source_config {
	char *url, *consumer;
	struct redis_group_config group;
	struct redis_entry_config entry;
	int start; /* enum start */
	bool follow;
};

struct redis_source {
	const struct redis_source_config *config;
	struct redis *redis;
	struct redis_group group;
	struct weir_group *keeper; /* a fiber, see keep(); NULL: nothing is taken, this only looks */

	size_t at;       /* the entry of the page that comes next */
	size_t accepted; /* how many of the page were acknowledged */
	bool given;      /* anything since the last accept() */
	uint64_t position;
	char from[48], to[48]; /* first and last entry of those given since, or else before, the last accept(); and … */
	char last[48];         /* … the last of all that were given; NO_ID: none */

	bool reads_own; /* before anything else, what is pending with this consumer behind: */
	char own_after[48];
	weir_nsec claim_at;
};

static void set_id(char id[48], const char *to)
{
	snprintf(id, 48, "%s", to);
}

static void look_for_own(struct redis_source *source)
{
	source->reads_own = true;
	set_id(source->own_after, "0");
}

static bool has_given(const struct redis_source *source)
{
	return strcmp(source->last, NO_ID) != 0;
}

static bool takes(const struct redis_source *source)
{
	return source->keeper != NULL;
}

/* ---- entries */

static int give(struct redis_source *source, const struct redis_entry *entry, struct item *item, struct weir_error *err)
{
	int verdict = redis_entry_read(&source->config->entry, entry->id, entry->fields, item);
	if (verdict < 0)
		return weir_error_set(err, verdict, "out of memory");
	if (!entry->gone) {
		if (!source->given)
			set_id(source->from, entry->id);
		set_id(source->to, entry->id);
		if (redis_id_at_most(source->last, entry->id))
			set_id(source->last, entry->id);
		source->given = true;
	}
	source->at++;
	item->position = ++source->position;
	return verdict;
}

static int give_trimmed(struct redis_source *source, struct item *item, struct weir_error *err)
{
	char text[80];
	int n = snprintf(text, sizeof text, "\"%" PRIu64 " entries\"", source->group.trimmed);
	if (value_copy(&item->source, text, (size_t)n))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	item_set_why(item,
		     "%" PRIu64 " entries were trimmed or deleted from the stream before anybody in the group had "
		     "read them",
		     source->group.trimmed);
	source->group.trimmed = 0;
	item->position = ++source->position;
	return SOURCE_BAD;
}

/* What was stored is acknowledged and left out. */
static int skip_stored(struct redis_source *source, struct weir_error *err)
{
	struct redis_group *group = &source->group;
	size_t first = 0, n = 0;
	while (first < group->n && !redis_id_at_most(source->from, group->entries[first].id))
		first++;
	while (first + n < group->n && redis_id_at_most(group->entries[first + n].id, source->to))
		n++;
	int code = redis_group_acknowledge(group, first, n, err);
	for (size_t i = first; i < first + n; i++)
		group->entries[i].lost = true;
	return code;
}

/* ---- pages: 1, 0 at the end, or a negative code */

static int read_own(struct redis_source *source, struct weir_error *err)
{
	const struct redis_group *group = &source->group;
	int code = redis_group_read_own(&source->group, source->own_after, err);
	if (code)
		return code;
	source->reads_own = group->n;
	if (group->n)
		set_id(source->own_after, group->entries[group->n - 1].id);
	code = skip_stored(source, err);
	return code ? code : 1;
}

static int claim(struct redis_source *source, struct weir_error *err)
{
	bool over;
	int code = redis_group_claim(&source->group, &over, err);
	if (!code && over)
		source->claim_at = weir_clock() + source->config->group.claim_idle / 2;
	return code ? code : 1;
}

/* Nothing is fresh: waits for what is, or for what can be claimed then; without `follow` only as long as others may
 * still die with what they have. */
static int wait_or_end(struct redis_source *source, struct weir_error *err, weir_nsec deadline)
{
	int64_t pending = 1;
	int code = source->config->follow ? 0 : redis_group_pending(&source->group, &pending, err);
	if (code || !pending)
		return code;
	weir_nsec now = weir_clock(), until = source->claim_at < now + WAIT_MOST ? source->claim_at : now + WAIT_MOST;
	if (deadline != WEIR_FOREVER && deadline <= now)
		return WEIR_ETIMEDOUT;
	if (deadline != WEIR_FOREVER && deadline < until)
		until = deadline;
	code = redis_group_wait(&source->group, until > now ? until - now : 0, err);
	return code ? code : 1;
}

static int take_page(struct redis_source *source, struct weir_error *err, weir_nsec deadline)
{
	struct redis_group *group = &source->group;
	if (source->reads_own)
		return read_own(source, err);
	if (weir_clock() >= source->claim_at)
		return claim(source, err);
	int code = redis_group_read_fresh(group, err);
	if (code || group->n || group->trimmed)
		return code ? code : 1;
	return wait_or_end(source, err, deadline);
}

/* For who only looks: what the group would get next. */
static int look_on(struct redis_source *source, struct weir_error *err)
{
	struct redis_group *group = &source->group;
	const char *begin = group->exists ? group->given : source->config->start == START_NEW ? NULL : NO_ID;
	if (!begin)
		return 0;
	int code = redis_group_look_on(group, has_given(source) ? source->last : begin, err);
	return code ? code : group->n > 0;
}

static int turn_page(struct redis_source *source, struct weir_error *err, weir_nsec deadline)
{
	source->at = source->accepted = 0;
	int code = takes(source) ? take_page(source, err, deadline) : look_on(source, err);
	if (code < 0) {
		redis_group_drop(&source->group); /* and one may have come to nobody */
		look_for_own(source);
	} else if (source->group.more && !source->reads_own) {
		source->reads_own = true;
		set_id(source->own_after, source->group.entries[source->group.n - 1].id);
	}
	if (code != WEIR_EAGAIN)
		return code;
	code = weir_sleep(AGAIN_PAUSE);
	return code ? weir_error_set(err, code, "%s", weir_strerror(code)) : 1;
}

/* ---- entries in hand are kept */

/* Entries may wait long for room in the broker: nobody may take this consumer for dead. */
static int keep(void *arg)
{
	struct redis_source *source = arg;
	while (!weir_sleep(source->config->group.claim_idle / 3))
		redis_group_keep(&source->group, source->accepted, NULL);
	return 0;
}

/* A process that stood still may have been taken for dead. */
static void look_for_lost(struct redis_source *source)
{
	if (takes(source) && weir_clock() - source->group.kept > source->config->group.claim_idle / 2)
		redis_group_keep(&source->group, source->accepted, NULL);
}

/* ---- the port */

static int next_entry(struct source *handle, struct item *item, struct weir_error *err, weir_nsec deadline)
{
	struct redis_source *source = (struct redis_source *)handle;
	struct redis_group *group = &source->group;
	for (;;) {
		if (group->trimmed)
			return give_trimmed(source, item, err);
		look_for_lost(source);
		while (source->at < group->n && group->entries[source->at].lost)
			source->at++;
		if (source->at < group->n)
			return give(source, &group->entries[source->at], item, err);
		if (takes(source) && source->given)
			return weir_error_set(err, WEIR_ETIMEDOUT, "what was given is to be accepted first");
		int code = turn_page(source, err, deadline);
		if (code <= 0)
			return code;
	}
}

static int make_group(struct redis_source *source, struct weir_error *err)
{
	const char *start = source->config->start == START_NEW ? "$" : "0";
	if (source->group.exists)
		return 0;
	return redis_group_make(&source->group, has_given(source) ? source->last : start, err);
}

static int begin_to_take(struct redis_source *source, struct weir_error *err)
{
	static const struct weir_spawn_options in_background = {.background = true};
	int code = make_group(source, err);
	if (code)
		return code == WEIR_EAGAIN ? WEIR_EBUSY : code;
	code = weir_group_new(NULL, &source->keeper);
	if (!code)
		code = weir_group_spawn_with(source->keeper, &in_background, keep, source, WEIR_FOREVER);
	return code ? weir_error_set(err, code, "out of memory") : 0;
}

static int accept_given(struct source *handle, struct weir_error *err, weir_nsec deadline)
{
	struct redis_source *source = (struct redis_source *)handle;
	int code;
	(void)deadline; /* an acknowledgment is asked for until it is there */
	if (!takes(source))
		return begin_to_take(source, err);
	while ((code = redis_group_acknowledge(&source->group, source->accepted, source->at - source->accepted, err)) ==
	       WEIR_EAGAIN)
		if ((code = weir_sleep(AGAIN_PAUSE)))
			break;
	if (code)
		return code;
	source->accepted = source->at;
	source->given = false;
	return 0;
}

static int64_t total(const struct source *handle, bool *ret_exact)
{
	const struct redis_source *source = (const struct redis_source *)handle;
	*ret_exact = false;
	return source->config->follow || source->group.unsettled < 0 ? -1 : source->group.unsettled;
}

static bool identify(const struct source *handle, struct buf *identity)
{
	const struct redis_source *source = (const struct redis_source *)handle;
	buf_addf(identity, "redis stream=%s group=%s consumer=%s", source->config->group.stream,
		 source->config->group.name, source->group.consumer);
	return true;
}

static void write_cursor(const struct source *handle, struct source_cursor *ret_cursor)
{
	const struct redis_source *source = (const struct redis_source *)handle;
	snprintf(ret_cursor->text, sizeof ret_cursor->text, "entry=%" PRIu64 " from=%s to=%s last=%s", source->position,
		 source->from, source->to, source->last);
}

static bool read_cursor(struct redis_source *source, const char *text)
{
	return sscanf(text, "entry=%" SCNu64 " from=%47s to=%47s last=%47s", &source->position, source->from,
		      source->to, source->last) == 4;
}

/* The consumer of an identity that is that of this source but for it; NULL: it is another one. */
static const char *find_consumer(const struct redis_source *source, const char *identity)
{
	struct buf now = {0};
	identify((const struct source *)source, &now);
	const char *name = now.failed ? NULL : strstr(now.data, " consumer=");
	size_t n = name ? (size_t)(name - now.data) + strlen(" consumer=") : 0;
	bool is_same = name && strncmp(identity, now.data, n) == 0;
	buf_fini(&now);
	return is_same ? identity + n : NULL;
}

static int refuse_without_group(const struct redis_source *source, struct weir_error *err)
{
	const struct redis_group_config *config = &source->config->group;
	return weir_error_set(
		err, WEIR_EINVAL,
		"Redis at %s: %s %.100s is gone, which this run has read to %s; entries that others had "
		"in hand are not known any more; create the group again there with --adopt, or start over "
		"with --fresh",
		redis_name(source->redis), source->group.removed ? "stream" : "the consumer group of stream",
		config->stream, source->last);
}

static int resume(struct source *handle, const char *identity, const struct source_cursor *cursor, bool adopt,
		  struct weir_error *err)
{
	struct redis_source *source = (struct redis_source *)handle;
	const char *consumer = find_consumer(source, identity);
	if (!consumer && !adopt)
		return weir_error_set(err, WEIR_EINVAL,
				      "the source is not the one that this run began with (it was \"%.150s\"); restore "
				      "that, resume with --adopt, or start over with --fresh",
				      identity);
	if (consumer && !source->config->consumer)
		snprintf(source->group.consumer, sizeof source->group.consumer, "%s", consumer);
	if (!consumer || !*cursor->text)
		return 0;
	if (!read_cursor(source, cursor->text))
		return weir_error_set(err, WEIR_EINVAL, "invalid position in a stream: %s", cursor->text);
	if (source->group.unsettled >= 0)
		source->group.unsettled += (int64_t)source->position;
	return source->group.exists || adopt || !has_given(source) ? 0 : refuse_without_group(source, err);
}

static void close_stream(struct source *handle)
{
	struct redis_source *source = (struct redis_source *)handle;
	weir_shield_enter();
	if (takes(source)) {
		weir_group_cancel(source->keeper);
		weir_group_wait(source->keeper, WEIR_FOREVER);
		if (!source->config->consumer && !source->reads_own)
			redis_group_leave(&source->group);
	}
	weir_group_free(source->keeper);
	redis_close(source->redis);
	weir_shield_leave();
	redis_group_fini(&source->group);
	free(source);
}

/* ---- opening */

static int name_consumer(struct redis_source *source, struct weir_error *err)
{
	uint64_t random;
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return weir_error_set(err, WEIR_EIO, "getrandom failed");
	if (source->config->consumer)
		snprintf(source->group.consumer, sizeof source->group.consumer, "%s", source->config->consumer);
	else
		snprintf(source->group.consumer, sizeof source->group.consumer, "weir-%016" PRIx64, random);
	return 0;
}

static int open_stream(const void *config, const char *pipeline, struct source **ret_source, struct weir_error *err)
{
	struct redis_source *source = calloc(1, sizeof *source);
	if (!source)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	(void)pipeline;
	source->config = config;
	source->group.config = &source->config->group;
	look_for_own(source);
	set_id(source->from, NO_ID);
	set_id(source->to, NO_ID);
	set_id(source->last, NO_ID);
	int code = redis_open_end(source->config->url, &source->redis, err);
	source->group.redis = source->redis;
	if (!code)
		code = name_consumer(source, err);
	if (!code)
		code = redis_group_look(&source->group, err);
	if (code)
		close_stream((struct source *)source);
	else
		*ret_source = (struct source *)source;
	return code;
}

static int check(const void *any, const char **ret_key, struct weir_error *err)
{
	const struct redis_source_config *config = any;
	struct redis_url url;
	*ret_key = "url";
	int code = redis_url_parse(config->url, &url, err);
	if (code)
		return code;
	redis_url_fini(&url);
	*ret_key = "json";
	if (config->entry.field && config->entry.json.n)
		return weir_error_set(err, WEIR_EINVAL,
				      "json names fields of an item, and with field the item is the content of one "
				      "field; leave one of them out");
	*ret_key = "consumer";
	if (config->consumer && strlen(config->consumer) > 120)
		return weir_error_set(err, WEIR_EINVAL, "the name of the consumer has more than 120 bytes");
	return 0;
}

#define FIELD(name) offsetof(struct redis_source_config, name)

static const struct key keys[] = {
	{"url", KEY_STRING, FIELD(url), .flags = KEY_REQUIRED,
	 .text = "The server: redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss:// for TLS, or redis+unix:///PATH"},
	{"stream", KEY_STRING, FIELD(group.stream), .flags = KEY_REQUIRED, .text = "The key of the stream"},
	{"group", KEY_STRING, FIELD(group.name), .flags = KEY_REQUIRED,
	 .text = "The consumer group; weir creates it, and the stream, if there is none"},
	{"start", KEY_ENUM, FIELD(start), "0", .choices = "0|$", .flags = KEY_PACE,
	 .text = "Where a group that weir creates begins: with the first entry (0), or behind the last one ($)"},
	{"consumer", KEY_STRING, FIELD(consumer),
	 .text = "Name of this consumer, which no other process may have; default: a random one, which a run keeps "
		 "when "
		 "it resumes"},
	{"field", KEY_STRING, FIELD(entry.field),
	 .text = "The field whose content is the item, as JSON; default: an item is an object of all fields, as text"},
	{"json", KEY_STRINGS, FIELD(entry.json),
	 .text = "Fields that contain JSON, in an item that is an object of all fields"},
	{"id", KEY_STRING, FIELD(entry.id), .text = "Name of a field that an item gets, with the id of its entry"},
	{"claim_idle", KEY_DURATION, FIELD(group.claim_idle), "60s", 100 * WEIR_MSEC, 7 * 86400 * WEIR_SEC,
	 .flags = KEY_PACE,
	 .text = "A consumer that does not acknowledge an entry for so long is taken for dead, and its entry is "
		 "claimed"},
	{"batch", KEY_COUNT, FIELD(group.batch), "256", 1, 1000, .flags = KEY_PACE,
	 .text = "Maximum entries in one read"},
	{"follow", KEY_BOOL, FIELD(follow), "false", .flags = KEY_PACE,
	 .text = "Whether to wait for more at the end of the stream, for ever"},
	{0},
};

static const struct source_ops ops = {
	.open = open_stream,
	.next = next_entry,
	.total = total,
	.identify = identify,
	.resume = resume,
	.cursor = write_cursor,
	.accept = accept_given,
	.close = close_stream,
};

const struct adapter source_redis_stream_adapter = {
	.kind = ADAPTER_SOURCE,
	.name = "redis_stream",
	.text = "Reads a Redis stream as a consumer of a group, and acknowledges each entry once it is stored",
	.keys = keys,
	.config_bytes = sizeof(struct redis_source_config),
	.check = check,
	.source = &ops,
};
