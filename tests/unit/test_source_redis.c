/* SPDX-License-Identifier: MIT */
/* The source `redis_stream` against a real server, with other consumers of its group played by hand. */
#include "unit/redises.h"
#include "unit/sinks.h"
#include "unit/sources.h"

#define LONG_AGO "100000" /* ms */

static const struct adapter *const adapter = &source_redis_stream_adapter;
static struct server server;

static void *config_of(const char *name, const char *value)
{
	void *config = keep(calloc(1, adapter->config_bytes));
	const char *stream = "s", *group = "g";
	set_key(adapter, config, "url", &server.url, sizeof server.url);
	set_key(adapter, config, "stream", &stream, sizeof stream);
	set_key(adapter, config, "group", &group, sizeof group);
	set_key(adapter, config, "claim_idle", &(weir_nsec){50 * WEIR_SEC}, sizeof(weir_nsec));
	set_key(adapter, config, "batch", &(int64_t){4}, sizeof(int64_t));
	if (name)
		set_key(adapter, config, name, &value, sizeof value);
	return config;
}

static struct source *open_source(const void *config)
{
	struct source *source = NULL;
	const char *key;
	ck_assert_msg(adapter->check(config, &key, &last_error) == 0, "%s", last_error.text);
	ck_assert_msg(adapter->source->open(config, &source, &last_error) == 0, "%s", last_error.text);
	return source;
}

static void accept_all(struct source *source)
{
	ck_assert_msg(adapter->source->accept(source, &last_error, WEIR_FOREVER) == 0, "%s", last_error.text);
}

static struct source *begin(const void *config)
{
	struct source *source = open_source(config);
	accept_all(source);
	return source;
}

static const char *read_some(struct source *source, size_t most)
{
	return read_items(adapter->source, source, most);
}

/* All of it, each page stored and accepted. */
static const char *read_all(struct source *source)
{
	struct buf out = {0};
	const char *some;
	buf_add_str(&out, "");
	while (*(some = read_some(source, SIZE_MAX)) && !strstr(some, "failed: ")) {
		buf_add_str(&out, some);
		accept_all(source);
	}
	buf_add_str(&out, some);
	return keep(buf_take(&out, NULL));
}

/* Entries I-0 with i=I. */
static void add_entries(struct redis *redis, int from, int to)
{
	for (int i = from; i <= to; i++)
		freeReplyObject(SAY(redis, "XADD", "s", test_format("%d-0", i), "i", test_format("%d", i)));
}

static void say(struct redis *redis, const char *words)
{
	struct key_strings list = split_words(words);
	freeReplyObject(say_words(redis, (const char *const *)list.values));
}

static long long pending(struct redis *redis)
{
	redisReply *reply = SAY(redis, "XPENDING", "s", "g");
	long long n = reply->element[0]->integer;
	freeReplyObject(reply);
	return n;
}

/* What a later process needs. */
struct left_by {
	const char *identity;
	struct source_cursor cursor;
};

/* As the broker keeps it, with what was given last, though nothing of that was acknowledged. */
static struct left_by crash(struct source *source)
{
	struct left_by left = {0};
	struct buf identity = {0};
	adapter->source->cursor(source, &left.cursor);
	adapter->source->identify(source, &identity);
	left.identity = keep(buf_take(&identity, NULL));
	adapter->source->close(source);
	return left;
}

static int resume_code(struct source *source, const struct left_by *left, bool adopt)
{
	return adapter->source->resume(source, left->identity, &left->cursor, adopt, &last_error);
}

static struct source *go_on_with(const void *config, const struct left_by *left)
{
	struct source *source = open_source(config);
	ck_assert_msg(resume_code(source, left, false) == 0, "%s", last_error.text);
	accept_all(source);
	return source;
}

LOOP_TEST(redis_entries_become_items_and_are_acknowledged)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	say(redis, "XADD s 1-0 id 17 note a\"b");
	say(redis, "XADD s 2-0 id 18 tags [1,{\"a\":1.50}] note x");
	struct source *source = begin(config_of(NULL, NULL));
	ck_assert_str_eq(read_all(source), "1 {\"id\":\"17\",\"note\":\"a\\\"b\"}\n"
					   "2 {\"id\":\"18\",\"tags\":\"[1,{\\\"a\\\":1.50}]\",\"note\":\"x\"}\n");
	ck_assert_int_eq(pending(redis), 0);
	adapter->source->close(source);
	redisReply *reply = SAY(redis, "XINFO", "CONSUMERS", "s", "g");
	ck_assert_uint_eq(reply->elements, 0); /* none is left behind */
	freeReplyObject(reply);

	void *config = config_of("id", "entry");
	struct key_strings json = split_words("tags id");
	const char *group = "h";
	set_key(adapter, config, "json", &json, sizeof json);
	set_key(adapter, config, "group", &group, sizeof group);
	source = begin(config);
	ck_assert_str_eq(read_all(source),
			 "1 {\"id\":17,\"note\":\"a\\\"b\",\"entry\":\"1-0\"}\n"
			 "2 {\"id\":18,\"tags\":[1,{\"a\":1.50}],\"note\":\"x\",\"entry\":\"2-0\"}\n");
	adapter->source->close(source);
	stop_server(&server, redis);
}

LOOP_TEST(redis_item_is_the_content_of_a_field)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	say(redis, "XADD s 1-0 data {\"order_id\":12345678901234567890} more x");
	say(redis, "XADD s 2-0 data [1]");
	say(redis, "XADD s 3-0 other 1");
	struct source *source = begin(config_of("field", "data"));
	ck_assert_str_eq(read_all(source), "1 {\"order_id\":12345678901234567890}\n2 [1]\n"
					   "3 !the entry has no field data\n");
	adapter->source->close(source);
	void *config = config_of("field", "data");
	const char *group = "h", *id = "entry";
	set_key(adapter, config, "group", &group, sizeof group);
	set_key(adapter, config, "id", &id, sizeof id);
	source = begin(config);
	ck_assert_str_eq(read_all(source),
			 "1 {\"order_id\":12345678901234567890,\"entry\":\"1-0\"}\n"
			 "2 !the value is not an object, so it cannot have the entry's id as its field entry\n"
			 "3 !the entry has no field data\n");
	adapter->source->close(source);
	stop_server(&server, redis);
}

LOOP_TEST(redis_entries_of_the_dead_are_claimed_and_those_of_the_living_are_not)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	add_entries(redis, 1, 30);
	say(redis, "XGROUP CREATE s g 0");
	say(redis, "XREADGROUP GROUP g dead COUNT 20 STREAMS s >");
	say(redis, "XREADGROUP GROUP g living COUNT 4 STREAMS s >");
	for (int i = 1; i <= 20; i++)
		say(redis, test_format("XCLAIM s g dead 0 %d-0 IDLE " LONG_AGO, i));
	say(redis, "XDEL s 3-0");
	say(redis, "XDEL s 5-0");
	struct source *source = begin(config_of(NULL, NULL));
	struct buf all = {0};
	buf_add_str(&all, "");
	for (int i = 0; i < 200 && pending(redis) + (all.len == 0) != 4; i++) {
		buf_add_str(&all, read_some(source, 1));
		if (pending(redis) > 4 || !all.len)
			accept_all(source);
	}
	accept_all(source);
	for (int i = 1; i <= 20; i++)
		if (i != 3 && i != 5)
			ck_assert_msg(strstr(all.data, test_format("{\"i\":\"%d\"}", i)), "%d is missing:\n%s", i,
				      all.data);
	ck_assert_msg(strstr(all.data, " !the entry was deleted from the stream before"), "%s", all.data);
	ck_assert_ptr_null(strstr(all.data, "\"21\""));
	adapter->source->close(source);
	buf_fini(&all);
	stop_server(&server, redis);
}

LOOP_TEST(redis_what_was_stored_and_not_acknowledged_is_not_given_again)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	const void *config = config_of(NULL, NULL);
	add_entries(redis, 1, 6);
	struct source *source = begin(config);
	read_some(source, 2);
	accept_all(source);
	ck_assert_str_eq(read_some(source, 1), "3 {\"i\":\"3\"}\n"); /* stored with the cursor, then killed */
	struct left_by left = crash(source);
	ck_assert_int_eq(pending(redis), 2);
	source = go_on_with(config, &left);
	ck_assert_str_eq(read_all(source), "4 {\"i\":\"4\"}\n5 {\"i\":\"5\"}\n6 {\"i\":\"6\"}\n");
	ck_assert_int_eq(pending(redis), 0);
	adapter->source->close(source);
	/* And what was given and not stored is. */
	add_entries(redis, 7, 8);
	source = go_on_with(config, &left);
	struct left_by before;
	adapter->source->cursor(source, &before.cursor);
	ck_assert_str_eq(read_some(source, 1), "4 {\"i\":\"7\"}\n");
	left = crash(source);
	before.identity = left.identity;
	source = go_on_with(config, &before);
	ck_assert_str_eq(read_all(source), "4 {\"i\":\"7\"}\n5 {\"i\":\"8\"}\n");
	adapter->source->close(source);
	stop_server(&server, redis);
}

/* A cursor names the first and the last entry that were stored: what another one had between them is not among them. */
LOOP_TEST(redis_an_entry_of_another_between_two_that_were_stored_is_not_lost)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	const void *config = config_of(NULL, NULL);
	add_entries(redis, 1, 3);
	say(redis, "XGROUP CREATE s g 0");
	say(redis, "XREADGROUP GROUP g dead COUNT 3 STREAMS s >");
	say(redis, "XCLAIM s g other 0 2-0");
	say(redis, "XCLAIM s g dead 0 1-0 3-0 IDLE " LONG_AGO);
	struct source *source = begin(config);
	ck_assert_str_eq(read_some(source, SIZE_MAX), "1 {\"i\":\"1\"}\n"); /* the page ends here */
	accept_all(source);
	ck_assert_str_eq(read_some(source, 1), "2 {\"i\":\"3\"}\n");
	accept_all(source);
	say(redis, "XCLAIM s g other 0 2-0 IDLE " LONG_AGO);
	struct left_by left = crash(source);
	source = go_on_with(config, &left);
	ck_assert_str_eq(read_some(source, 1), "3 {\"i\":\"2\"}\n");
	crash(source); /* not stored */
	source = go_on_with(config, &left);
	ck_assert_str_eq(read_all(source), "3 {\"i\":\"2\"}\n");
	ck_assert_int_eq(pending(redis), 0);
	adapter->source->close(source);
	stop_server(&server, redis);
}

LOOP_TEST(redis_entries_that_cannot_be_items_are_bad_and_the_rest_goes_on)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	struct redis_command command = {0};
	redisReply *reply;
	static const char binary[] = "\xff\xfe\0x";
	char *large = keep(malloc((1 << 20) + 1));
	memset(large, 'x', 1 << 20);
	large[1 << 20] = 0;
	redis_add_text(&command, "XADD");
	redis_add_text(&command, "s");
	redis_add_text(&command, "*");
	redis_add_text(&command, "b");
	redis_add(&command, binary, sizeof binary - 1);
	ck_assert_int_eq(redis_call(redis, &command, &reply, NULL, WEIR_FOREVER), 0);
	freeReplyObject(reply);
	redis_command_fini(&command);
	redis_add_text(&command, "XADD");
	redis_add_text(&command, "s");
	redis_add_text(&command, "*");
	redis_add(&command, "a\0b", 3);
	redis_add(&command, "\0", 1);
	ck_assert_int_eq(redis_call(redis, &command, &reply, NULL, WEIR_FOREVER), 0);
	freeReplyObject(reply);
	redis_command_fini(&command);
	say(redis, "XADD s * j {not");
	freeReplyObject(SAY(redis, "XADD", "s", "*", "large", large));
	for (int i = 0; i < 8; i++) /* many pages of few */
		freeReplyObject(SAY(redis, "XADD", "s", "*", "l", large + 1000));
	say(redis, "XADD s * j {\"good\":true}");
	void *config = config_of(NULL, NULL);
	struct key_strings json = split_words("j");
	set_key(adapter, config, "json", &json, sizeof json);
	struct source *source = begin(config);
	const char *all = read_all(source);
	ck_assert_msg(strstr(all, "1 !field b is not valid UTF-8\n2 {\"a\\u0000b\":\"\\u0000\"}\n"
				  "3 !field j is not JSON: ") == all,
		      "%.300s", all);
	ck_assert_msg(strstr(all, "\n4 !the entry has 1048581 bytes, more than 1 MiB\n5 {\"l\":\"xxx"), "%.300s", all);
	ck_assert_msg(strstr(all, "\n13 {\"j\":{\"good\":true}}\n"), "%s", all + strlen(all) - 100);
	ck_assert_int_eq(pending(redis), 0);
	adapter->source->close(source);
	stop_server(&server, redis);
}

LOOP_TEST(redis_entries_trimmed_before_they_were_read_are_counted)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	add_entries(redis, 1, 12);
	struct source *source = begin(config_of(NULL, NULL));
	ck_assert_str_eq(read_some(source, 2), "1 {\"i\":\"1\"}\n2 {\"i\":\"2\"}\n");
	say(redis, "XTRIM s MAXLEN 2"); /* 3 and 4 are in hand, 5 to 10 are not */
	accept_all(source);
	ck_assert_str_eq(read_all(source), "3 {\"i\":\"3\"}\n4 {\"i\":\"4\"}\n"
					   "5 !6 entries were trimmed or deleted from the stream before anybody in the "
					   "group had read them\n6 {\"i\":\"11\"}\n7 {\"i\":\"12\"}\n");
	add_entries(redis, 13, 14);
	say(redis, "XTRIM s MAXLEN 1"); /* what was read may go */
	ck_assert_str_eq(read_all(source), "8 !1 entries were trimmed or deleted from the stream before anybody in the "
					   "group had read them\n9 {\"i\":\"14\"}\n");
	adapter->source->close(source);
	stop_server(&server, redis);
}

LOOP_TEST(redis_entries_that_another_consumer_has_claimed_are_left_to_it)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	void *config = config_of(NULL, NULL);
	set_key(adapter, config, "claim_idle", &(weir_nsec){100 * WEIR_MSEC}, sizeof(weir_nsec));
	add_entries(redis, 1, 4);
	struct source *source = begin(config);
	ck_assert_str_eq(read_some(source, 1), "1 {\"i\":\"1\"}\n");
	say(redis, "XCLAIM s g other 0 2-0 3-0");
	ck_assert_int_eq(weir_sleep(60 * WEIR_MSEC), 0); /* by then it looks after its own again, in any case */
	ck_assert_str_eq(read_some(source, 1), "2 {\"i\":\"4\"}\n");
	accept_all(source);
	ck_assert_int_eq(pending(redis), 2);
	adapter->source->close(source);
	stop_server(&server, redis);
}

LOOP_TEST(redis_who_only_looks_takes_nothing)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	add_entries(redis, 1, 6);
	struct source *source = open_source(config_of(NULL, NULL));
	ck_assert_str_eq(read_some(source, SIZE_MAX),
			 "1 {\"i\":\"1\"}\n2 {\"i\":\"2\"}\n3 {\"i\":\"3\"}\n4 {\"i\":\"4\"}\n"
			 "5 {\"i\":\"5\"}\n6 {\"i\":\"6\"}\n");
	adapter->source->close(source);
	redisReply *reply = SAY(redis, "XINFO", "GROUPS", "s");
	ck_assert_uint_eq(reply->elements, 0);
	freeReplyObject(reply);
	say(redis, "XGROUP CREATE s g 4-0");
	source = open_source(config_of(NULL, NULL));
	ck_assert_str_eq(read_some(source, SIZE_MAX), "1 {\"i\":\"5\"}\n2 {\"i\":\"6\"}\n");
	adapter->source->close(source);
	ck_assert_int_eq(pending(redis), 0);
	stop_server(&server, redis);
}

LOOP_TEST(redis_group_that_strangers_remove_is_never_the_end)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	void *config = config_of(NULL, NULL);
	add_entries(redis, 1, 6);
	struct source *source = begin(config);
	read_some(source, 4);
	accept_all(source);
	say(redis, "XGROUP DESTROY s g");
	const char *says = read_some(source, 1);
	ck_assert_msg(strstr(says, "the consumer group g of stream s is gone"), "%s", says);
	struct left_by left = crash(source);
	source = open_source(config);
	ck_assert_int_eq(resume_code(source, &left, false), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "which this run has read to 4-0"), "%s", last_error.text);
	ck_assert_int_eq(resume_code(source, &left, true), 0);
	accept_all(source);
	ck_assert_str_eq(read_all(source), "5 {\"i\":\"5\"}\n6 {\"i\":\"6\"}\n");
	say(redis, "FLUSHALL");
	says = read_some(source, 1);
	ck_assert_msg(strstr(says, "is gone"), "%s", says);
	say(redis, "SET s x");
	says = read_some(source, 1);
	ck_assert_msg(strstr(says, "the key s is not a stream"), "%s", says);
	adapter->source->close(source);
	struct source *none = NULL;
	ck_assert_int_eq(adapter->source->open(config, &none, &last_error), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "the key s is not a stream"), "%s", last_error.text);
	stop_server(&server, redis);
}

LOOP_TEST(redis_source_survives_a_restart_of_its_server)
{
	struct redis *redis = start_server(&server, "--appendonly", "yes");
	add_entries(redis, 1, 6);
	struct source *source = begin(config_of(NULL, NULL));
	ck_assert_str_eq(read_some(source, 2), "1 {\"i\":\"1\"}\n2 {\"i\":\"2\"}\n");
	kill_server(&server);
	launch_server(&server, "--appendonly", "yes");
	accept_all(source);
	ck_assert_str_eq(read_all(source), "3 {\"i\":\"3\"}\n4 {\"i\":\"4\"}\n5 {\"i\":\"5\"}\n6 {\"i\":\"6\"}\n");
	adapter->source->close(source);
	stop_server(&server, redis);
}

LOOP_TEST(redis_source_says_what_is_wrong_with_the_server)
{
	struct redis *redis = start_server(&server, NULL, NULL);
	struct source *source = NULL;
	void *config = config_of(NULL, NULL);
	const char *url = test_format("redis+unix://:hunter22@%s", server.socket), *key;
	say(redis, "CONFIG SET requirepass canary99");
	set_key(adapter, config, "url", &url, sizeof url);
	ck_assert_int_eq(adapter->source->open(config, &source, &last_error), WEIR_EINVAL);
	ck_assert_msg(strstr(last_error.text, "does not accept the user and password"), "%s", last_error.text);
	url = test_format("redis+unix://%s/nothing", test_folder());
	set_key(adapter, config, "url", &url, sizeof url);
	ck_assert_int_eq(adapter->source->open(config, &source, &last_error), WEIR_EBUSY);
	url = "redis://:hunter22@h:x";
	set_key(adapter, config, "url", &url, sizeof url);
	ck_assert_int_eq(adapter->check(config, &key, &last_error), WEIR_EINVAL);
	ck_assert_ptr_null(strstr(last_error.text, "hunter22"));
	freeReplyObject(SAY(redis, "CONFIG", "SET", "requirepass", ""));
	stop_server(&server, redis);
}
