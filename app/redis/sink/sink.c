/* SPDX-License-Identifier: MIT */
/*
 * `redis_stream: { url: 'redis://…', stream: results }`: outputs as entries of a stream.
 *
 * Beside the stream is a ledger, bitmaps with a bit for each item of the run: add.lua adds the entries of an item and
 * sets its bit in one step, or finds that they are there.  So an item is added once whoever tries, whenever: this
 * process again after an answer was lost, the next one after a crash, another one that was taken for dead.
 *
 *     weir:ledger:{STREAM}:RUN       a mark: the run has a ledger
 *     weir:ledger:{STREAM}:RUN:N     the bits of PART_ITEMS ids, from N times as many on
 *
 * Each of these is gone `ledger_keep` after it was written last: so also a run without an end takes bounded room.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <weir/weir.h>

#include "port/adapters.h"
#include "redis/client.h"
#include "redis/sink/row.h"
#include "redis/url.h"

#define CALL_BYTES ((size_t)4 << 20) /* of outputs, but for the last item */
#define CALL_ITEMS ((size_t)256)
#define PART_ITEMS ((uint64_t)1 << 16)
#define POSITION   "redis_stream ledger" /* the run has one */

extern const char redis_lua_add[];

enum trim { TRIM_APPROXIMATE, TRIM_EXACT };

struct redis_sink_config {
	char *url, *stream;
	struct redis_row_config row;
	int64_t max_len; /* 0: no limit */
	int trim;        /* enum trim */
	weir_nsec ledger_keep;
};

struct redis_sink {
	const struct redis_sink_config *config;
	struct redis *redis;
	struct redis_script add;
	char *ledger; /* its mark */
	bool resumable;
};

/* ---- the server */

static int explain(const struct redis_sink *sink, int code, const char *says, struct weir_error *err)
{
	const char *at = redis_name(sink->redis), *stream = sink->config->stream;
	if (code == WEIR_EIO) /* perhaps it was done: the ledger knows */
		code = WEIR_EBUSY;
	if (code != WEIR_EDATA)
		return weir_error_set(err, code, "%s", says);
	if (strncmp(says, "WRONGTYPE", 9) == 0)
		return weir_error_set(err, WEIR_EINVAL, "Redis at %s: the key %.100s, or its ledger, is not a stream",
				      at, stream);
	return weir_error_set(err, WEIR_EINVAL, "Redis at %s: stream %.100s: %.200s", at, stream, says);
}

/* The command ends with this call. */
static int ask(const struct redis_sink *sink, struct redis_command *command, redisReply **ret_reply,
	       struct weir_error *err)
{
	struct weir_error says = {0};
	int code = redis_call(sink->redis, command, ret_reply, &says, WEIR_FOREVER);
	redis_command_fini(command);
	return code ? explain(sink, code, says.code ? says.text : weir_strerror(code), err) : 0;
}

/* ---- opening */

static int make_ledger(struct redis_sink *sink, const char *run, struct weir_error *err)
{
	unsigned char random[16];
	struct buf name = {0};
	buf_addf(&name, "weir:ledger:{%s}:", sink->config->stream);
	if (run)
		buf_add_str(&name, run);
	else if (getrandom(random, sizeof random, 0) != sizeof random)
		return weir_error_set(err, -errno, "getrandom: %s", weir_strerror(-errno));
	for (size_t i = 0; i < sizeof random && !run; i++)
		buf_addf(&name, "%02x", random[i]);
	sink->ledger = buf_take(&name, NULL);
	return sink->ledger ? 0 : weir_error_set(err, WEIR_ENOMEM, "out of memory");
}

static int check_stream(struct redis_sink *sink, struct weir_error *err)
{
	struct redis_command command = {0};
	redisReply *reply;
	redis_add_text(&command, "TYPE");
	redis_add_text(&command, sink->config->stream);
	int code = ask(sink, &command, &reply, err);
	if (code)
		return code;
	bool is_good = reply->str && (strcmp(reply->str, "stream") == 0 || strcmp(reply->str, "none") == 0);
	if (!is_good)
		code = weir_error_set(err, WEIR_EINVAL, "Redis at %s: the key %.100s is a %.20s, not a stream",
				      redis_name(sink->redis), sink->config->stream, reply->str ? reply->str : "?");
	freeReplyObject(reply);
	return code;
}

/* The last batch may have been added and not acked. */
static int check_ledger(struct redis_sink *sink, const struct sink_env *env, struct weir_error *err)
{
	struct redis_command command = {0};
	redisReply *reply;
	if (!env->run || !env->position || env->clean || env->adopt || strcmp(env->position->data, POSITION) != 0)
		return 0;
	redis_add_text(&command, "EXISTS");
	redis_add_text(&command, sink->ledger);
	int code = ask(sink, &command, &reply, err);
	if (code)
		return code;
	if (!reply->integer)
		code = weir_error_set(
			err, WEIR_EINVAL,
			"Redis at %s does not know this run: its key %.150s was removed, or the run stopped "
			"longer than `ledger_keep` ago; resume with --adopt, which may duplicate the entries "
			"of the last batch, or start over with --fresh",
			redis_name(sink->redis), sink->ledger);
	freeReplyObject(reply);
	return code;
}

static int close_stream(struct sink *handle, struct weir_error *err)
{
	struct redis_sink *sink = (struct redis_sink *)handle;
	(void)err;
	redis_close(sink->redis);
	free(sink->ledger);
	free(sink);
	return 0;
}

static int open_stream(const void *config, const struct sink_env *env, struct sink **ret_sink, struct weir_error *err)
{
	struct redis_sink *sink = calloc(1, sizeof *sink);
	if (!sink)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	sink->config = config;
	sink->resumable = env->run;
	redis_script_init(&sink->add, redis_lua_add);
	int code = redis_open_end(sink->config->url, &sink->redis, err);
	if (!code)
		code = make_ledger(sink, env->run, err);
	if (!code && !(code = check_stream(sink, err)))
		code = check_ledger(sink, env, err);
	if (code == WEIR_EBUSY && sink->redis) /* it has answered */
		code = WEIR_EAGAIN;
	if (code)
		close_stream((struct sink *)sink, NULL);
	else
		*ret_sink = (struct sink *)sink;
	return code;
}

/* ---- writing */

/* What add.lua is called with. */
struct addition {
	struct redis_command keys, arguments;
	size_t items;
};

static void begin_addition(const struct redis_sink *sink, struct addition *batch)
{
	const struct redis_sink_config *config = sink->config;
	batch->items = 0;
	redis_command_clear(&batch->keys);
	redis_add_text(&batch->keys, config->stream);
	redis_add_text(&batch->keys, sink->ledger);
	redis_command_clear(&batch->arguments);
	redis_add_number(&batch->arguments, config->ledger_keep / WEIR_SEC);
	redis_add_text(&batch->arguments, !config->max_len ? "" : config->trim == TRIM_EXACT ? "=" : "~");
	redis_add_number(&batch->arguments, config->max_len);
}

static void fini_addition(struct addition *batch)
{
	redis_command_fini(&batch->keys);
	redis_command_fini(&batch->arguments);
}

static void append(struct redis_command *to, const struct redis_command *more)
{
	buf_add(&to->words, more->words.data, more->words.len);
	to->n += more->n;
}

static int send_addition(const struct redis_sink *sink, struct addition *batch, struct weir_error *err,
			 weir_nsec deadline)
{
	struct redis_command all = {0};
	struct weir_error says = {0};
	redisReply *reply;
	redis_add_number(&all, (int64_t)batch->keys.n);
	append(&all, &batch->keys);
	append(&all, &batch->arguments);
	int code = redis_eval(sink->redis, &sink->add, &all, &reply, &says, deadline);
	redis_command_fini(&all);
	if (code)
		return explain(sink, code, says.code ? says.text : weir_strerror(code), err);
	freeReplyObject(reply);
	begin_addition(sink, batch);
	return 0;
}

/* The part of the ledger that has its bit, and the bit. */
static int add_bit(const struct redis_sink *sink, uint64_t item, struct addition *batch)
{
	struct buf key = {0};
	buf_addf(&key, "%s:%" PRIu64, sink->ledger, item / PART_ITEMS);
	if (!key.failed)
		redis_add(&batch->keys, key.data, key.len);
	redis_add_number(&batch->arguments, (int64_t)(item % PART_ITEMS));
	int code = key.failed ? WEIR_ENOMEM : 0;
	buf_fini(&key);
	return code;
}

/* All entries of an item, each behind its number of words.  WEIR_EDATA with why. */
static int put_entries(const struct redis_sink *sink, const struct value_list *outputs, struct redis_command *entries,
		       char why[200])
{
	struct redis_command words = {0};
	int code = 0;
	for (size_t i = 0; i < outputs->n && !code; i++) {
		redis_command_clear(&words);
		code = redis_row_put(&sink->config->row, &outputs->values[i], &words, why);
		value_forget(&outputs->values[i]);
		redis_add_number(entries, (int64_t)words.n);
		append(entries, &words);
	}
	redis_command_fini(&words);
	return code;
}

static int add_item(const struct redis_sink *sink, struct sink_item *item, struct addition *batch)
{
	struct redis_command entries = {0};
	int code = item->verdict = put_entries(sink, &item->item->outputs, &entries, item->why);
	if (!code && !(code = add_bit(sink, item->item->id, batch))) {
		redis_add_number(&batch->arguments, (int64_t)item->item->outputs.n);
		append(&batch->arguments, &entries);
		batch->items++;
	}
	bool failed = entries.words.failed || batch->arguments.words.failed || batch->keys.words.failed;
	redis_command_fini(&entries);
	return failed ? WEIR_ENOMEM : code == WEIR_EDATA ? 0 : code;
}

static int write_stream(struct sink *handle, struct sink_item *items, size_t n, struct weir_error *err,
			weir_nsec deadline)
{
	struct redis_sink *sink = (struct redis_sink *)handle;
	struct addition batch = {0};
	int code = 0;
	begin_addition(sink, &batch);
	for (size_t i = 0; i < n && !code; i++) {
		code = add_item(sink, &items[i], &batch);
		bool is_full = batch.items == CALL_ITEMS || batch.arguments.words.len >= CALL_BYTES;
		if (code)
			weir_error_set(err, code, "%s", weir_strerror(code));
		else if (batch.items && (is_full || i + 1 == n))
			code = send_addition(sink, &batch, err, deadline);
	}
	fini_addition(&batch);
	return code;
}

/* The mark is there from the beginning: so one that is not was removed. */
static int start_stream(struct sink *handle, struct weir_error *err)
{
	const struct redis_sink *sink = (const struct redis_sink *)handle;
	struct addition batch = {0};
	begin_addition(sink, &batch);
	int code = send_addition(sink, &batch, err, WEIR_FOREVER);
	fini_addition(&batch);
	return code;
}

static enum sink_exactness exactness(const struct sink *handle)
{
	return ((const struct redis_sink *)handle)->resumable ? SINK_BY_CLAIM : SINK_REPEATS;
}

static bool is_exact_shared(const void *config)
{
	(void)config; /* an entry is claimed once, whoever writes */
	return true;
}

static void write_position(const struct sink *handle, struct buf *out)
{
	if (((const struct redis_sink *)handle)->resumable)
		buf_add_str(out, POSITION);
}

static const struct key_strings *columns_of(const void *config)
{
	return &((const struct redis_sink_config *)config)->row.fields;
}

static int show_row(const void *config, const struct value *output, struct buf *out, char why[200])
{
	return redis_row_show(&((const struct redis_sink_config *)config)->row, output, out, why);
}

/* ---- the config */

static int check(const void *any, const char **ret_key, struct weir_error *err)
{
	const struct redis_sink_config *config = any;
	struct redis_url url;
	*ret_key = "url";
	int code = redis_url_parse(config->url, &url, err);
	if (code)
		return code;
	redis_url_fini(&url);
	*ret_key = "fields";
	if (config->row.field && config->row.fields.n)
		return weir_error_set(err, WEIR_EINVAL,
				      "with field the output as a whole is one field, and with fields each of these is "
				      "one; leave one of them out");
	*ret_key = "trim";
	if (config->trim != TRIM_APPROXIMATE && !config->max_len)
		return weir_error_set(err, WEIR_EINVAL, "trim without max_len; say how many entries are to be kept");
	return 0;
}

#define FIELD(name) offsetof(struct redis_sink_config, name)

static const struct key keys[] = {
	{"url", KEY_STRING, FIELD(url), .flags = KEY_REQUIRED,
	 .text = "The server: redis://USER:PASSWORD@HOST:PORT/DATABASE, rediss:// for TLS, or redis+unix:///PATH"},
	{"stream", KEY_STRING, FIELD(stream), .flags = KEY_REQUIRED,
	 .text = "The key of the stream; weir creates it if there is none"},
	{"fields", KEY_STRINGS, FIELD(row.fields),
	 .text = "The fields of an output that become fields of its entry; default: all of them"},
	{"field", KEY_STRING, FIELD(row.field),
	 .text = "Instead: one field of this name that contains the output as a whole, as JSON"},
	{"max_len", KEY_COUNT, FIELD(max_len), NULL, 1, INT64_MAX,
	 .text = "Maximum entries in the stream: the oldest are removed, read or not; default: none is removed"},
	{"trim", KEY_ENUM, FIELD(trim), "approximate", .choices = "approximate|exact",
	 .text = "Whether exactly max_len entries are kept, or some more, which costs the server less"},
	{"ledger_keep", KEY_DURATION, FIELD(ledger_keep), "7d", 3600 * WEIR_SEC, 3650 * 86400 * WEIR_SEC,
	 .flags = KEY_PACE,
	 .text = "How long the server remembers which items a run has written, after the last of them"},
	{0},
};

static const struct sink_ops ops = {
	.columns = columns_of,
	.row = show_row,
	.open = open_stream,
	.start = start_stream,
	.write = write_stream,
	.close = close_stream,
	.exactness = exactness,
	.is_exact_shared = is_exact_shared,
	.position = write_position,
};

const struct adapter sink_redis_stream_adapter = {
	.kind = ADAPTER_SINK,
	.name = "redis_stream",
	.text = "Adds an entry to a Redis stream for each output; exactly one, even after a crash",
	.keys = keys,
	.config_bytes = sizeof(struct redis_sink_config),
	.check = check,
	.sink = &ops,
};
