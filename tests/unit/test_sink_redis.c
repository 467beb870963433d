/* SPDX-License-Identifier: MIT */
/* The sink `redis_stream` against a real server. */
#include "unit/redises.h"
#include "unit/sinks.h"

#define RUN "0123456789abcdef0123456789abcdef"

static const struct adapter *const adapter = &sink_redis_stream_adapter;
static struct server server;

static void *config_of(const char *name, const void *value, size_t n)
{
	void *config = keep(calloc(1, adapter->config_bytes));
	const char *stream = "out";
	set_key(adapter, config, "url", &server.url, sizeof server.url);
	set_key(adapter, config, "stream", &stream, sizeof stream);
	set_key(adapter, config, "ledger_keep", &(weir_nsec){86400 * WEIR_SEC}, sizeof(weir_nsec));
	if (name)
		set_key(adapter, config, name, value, n);
	return config;
}

/* An entry a line, its words with blanks between. */
static const char *entries(struct redis *redis)
{
	struct buf out = {0};
	redisReply *reply = SAY(redis, "XRANGE", "out", "-", "+");
	buf_add_str(&out, "");
	for (size_t i = 0; i < reply->elements; i++) {
		const redisReply *fields = reply->element[i]->element[1];
		for (size_t k = 0; k < fields->elements; k++)
			buf_addf(&out, "%s%s", fields->element[k]->str, k + 1 < fields->elements ? " " : "\n");
	}
	freeReplyObject(reply);
	return keep(buf_take(&out, NULL));
}

static void number(struct batch *batch, uint64_t first)
{
	for (size_t i = 0; i < batch->n; i++)
		((struct item *)(uintptr_t)batch->items[i].item)->id = first + i;
}

/* Through a sink of its own, as item 1. */
static void write_output(const void *config, const char *output)
{
	struct batch batch = {0};
	struct sink *sink = open_sink(adapter, config);
	add(&batch, output, NULL);
	number(&batch, 1);
	write_all(adapter, sink, &batch);
	close_sink(adapter, sink);
}

LOOP_TEST(sink_redis_adds_fields_or_the_whole)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	struct batch batch = {0};
	struct sink *sink = open_sink(adapter, config_of(NULL, NULL, 0));
	add(&batch, "{\"id\":1,\"name\":\"a b\",\"n\":null,\"t\":true,\"l\":[1,{\"x\":2.50}]}", "{\"id\":2}", NULL);
	add(&batch, NULL);
	add(&batch, "{\"id\":3}", NULL);
	number(&batch, 1);
	write_all(adapter, sink, &batch);
	close_sink(adapter, sink);
	ck_assert_str_eq(entries(redis), "id 1 name a b t true l [1,{\"x\":2.50}]\nid 2\nid 3\n");
	freeReplyObject(SAY(redis, "DEL", "out"));

	struct key_strings fields = split_words("name id");
	write_output(config_of("fields", &fields, sizeof fields), "{\"id\":1,\"name\":\"a\",\"x\":1}");
	const char *field = "data";
	write_output(config_of("field", &field, sizeof field), "[1,2]");
	ck_assert_str_eq(entries(redis), "name a id 1\ndata [1,2]\n");
	stop_server(&server, redis);
}

LOOP_TEST(sink_redis_refuses_what_cannot_be_an_entry)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	struct buf many = {0};
	const struct {
		const char *output, *why;
	} rows[] = {
		{"17", "the output is not an object"},
		{"{}", "the output has no field that is not null"},
		{"{\"a\":null}", "the output has no field that is not null"},
	};
	struct sink *sink = open_sink(adapter, config_of(NULL, NULL, 0));
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct batch batch = {0};
		add(&batch, "{\"a\":1}", NULL);
		add(&batch, "{\"a\":2}", rows[i].output, NULL);
		add(&batch, "{\"a\":3}", NULL);
		number(&batch, 10 * i + 1);
		ck_assert_int_eq(write_code(adapter, sink, &batch), 0);
		expect_verdicts(&batch, 1, rows[i].why);
		drop(&batch);
	}
	ck_assert_str_eq(entries(redis), "a 1\na 3\na 1\na 3\na 1\na 3\n");
	buf_add_char(&many, '{');
	for (int i = 0; i < 1001; i++)
		buf_addf(&many, "%s\"%d\":1", i ? "," : "", i);
	buf_add_char(&many, '}');
	struct batch batch = {0};
	add(&batch, many.data, NULL);
	number(&batch, 100);
	ck_assert_int_eq(write_code(adapter, sink, &batch), 0);
	expect_verdicts(&batch, 0, "more than 1000 fields");
	drop(&batch);
	buf_fini(&many);
	close_sink(adapter, sink);
	stop_server(&server, redis);
}

LOOP_TEST(sink_redis_adds_an_item_once_whoever_tries)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	struct batch batch = {0};
	run_env = (struct sink_env){.run = RUN};
	struct sink *sink = open_sink(adapter, config_of(NULL, NULL, 0)), *other;
	ck_assert_int_eq(adapter->sink->exactness(sink), SINK_BY_CLAIM);
	other = open_sink(adapter, config_of(NULL, NULL, 0));
	for (int i = 0; i < 3; i++) {
		add(&batch, "{\"id\":1}", "{\"id\":2}", NULL);
		add(&batch, "{\"id\":3}", NULL);
		number(&batch, UINT64_MAX - 1);
		write_all(adapter, i == 1 ? other : sink, &batch);
	}
	ck_assert_str_eq(entries(redis), "id 1\nid 2\nid 3\n");
	close_sink(adapter, sink);
	close_sink(adapter, other);
	/* Another run is another ledger. */
	run_env.run = "f" RUN + 1;
	write_output(config_of(NULL, NULL, 0), "{\"id\":1}");
	ck_assert_str_eq(entries(redis), "id 1\nid 2\nid 3\nid 1\n");
	stop_server(&server, redis);
}

LOOP_TEST(sink_redis_knows_when_its_ledger_was_removed)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	struct buf position = {0};
	run_env = (struct sink_env){.run = RUN};
	struct sink *sink = open_sink(adapter, config_of(NULL, NULL, 0));
	adapter->sink->position(sink, &position);
	close_sink(adapter, sink);
	struct value value = {.data = position.data, .len = position.len};
	run_env.position = &value;
	close_sink(adapter, open_sink(adapter, config_of(NULL, NULL, 0)));
	freeReplyObject(SAY(redis, "FLUSHALL"));
	ck_assert_int_eq(refused_open(adapter, config_of(NULL, NULL, 0)), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "does not know this run"), "%s", last_error.text);
	run_env.adopt = true;
	close_sink(adapter, open_sink(adapter, config_of(NULL, NULL, 0)));
	run_env.adopt = false;
	run_env.clean = true;
	freeReplyObject(SAY(redis, "FLUSHALL"));
	close_sink(adapter, open_sink(adapter, config_of(NULL, NULL, 0)));
	buf_fini(&position);
	stop_server(&server, redis);
}

LOOP_TEST(sink_redis_trims_only_when_asked)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	void *config = config_of("max_len", &(int64_t){3}, sizeof(int64_t));
	set_key(adapter, config, "trim", &(int){1}, sizeof(int));
	struct sink *sink = open_sink(adapter, config);
	struct batch batch = {0};
	for (int i = 0; i < 5; i++)
		add(&batch, test_format("{\"id\":%d}", i), NULL);
	number(&batch, 1);
	write_all(adapter, sink, &batch);
	close_sink(adapter, sink);
	ck_assert_str_eq(entries(redis), "id 2\nid 3\nid 4\n");
	stop_server(&server, redis);
}

LOOP_TEST(sink_redis_says_whether_to_try_again)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	struct batch batch = {0};
	struct sink *sink = open_sink(adapter, config_of(NULL, NULL, 0));
	add(&batch, "{\"id\":1}", NULL);
	number(&batch, 1);
	freeReplyObject(SAY(redis, "CONFIG", "SET", "maxmemory", "1"));
	ck_assert_int_eq(write_code(adapter, sink, &batch), WEIR_ENOSPC);
	freeReplyObject(SAY(redis, "CONFIG", "SET", "maxmemory", "0"));
	freeReplyObject(SAY(redis, "SET", "out", "x"));
	ck_assert_int_eq(write_code(adapter, sink, &batch), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "is not a stream"), "%s", last_error.text);
	ck_assert_int_eq(refused_open(adapter, config_of(NULL, NULL, 0)), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "the key out is a string, not a stream"), "%s", last_error.text);
	freeReplyObject(SAY(redis, "DEL", "out"));
	kill_server(&server);
	ck_assert_int_eq(write_code(adapter, sink, &batch), WEIR_EBUSY);
	launch_server(&server, NULL, NULL);
	while (write_code(adapter, sink, &batch) == WEIR_EBUSY)
		ck_assert_int_eq(weir_sleep(5 * WEIR_MSEC), 0);
	redis_close(redis);
	redis = open_redis(&(struct redis_options){.url = server.url});
	ck_assert_str_eq(entries(redis), "id 1\n");
	drop(&batch);
	close_sink(adapter, sink);
	stop_server(&server, redis);
}
