/* SPDX-License-Identifier: MIT */
/* The broker on Redis, against a real server: what several workers share, and what happens when one of them dies, or
 * the server forgets. */
#include "unit/redis_brokers.h"

#include <sys/mman.h>

static bool seen[301];

static int work_to_the_end(void *arg)
{
	struct broker *broker = arg;
	struct item *item;
	int code;
	while ((code = ops->queue.lease(broker, &item, 1, &err, WEIR_FOREVER)) == 1) {
		ck_assert(item->id >= 1 && item->id <= 300 && !seen[item->position]);
		ck_assert_str_eq(item->source.data, test_format("{\"n\":%d}", (int)item->position));
		ck_assert(ops->queue.holds(broker, item));
		seen[item->position] = true;
		item->fate = item->position % 100 ? FATE_SUCCEEDED : FATE_DROPPED;
		ack_one(broker, item);
	}
	ck_assert_int_eq(code, WEIR_ECLOSED);
	return 0;
}

LOOP_TEST(redis_broker_shares_items_among_workers)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct weir_group *group = new_group();
	struct broker *a = open_worker("", "source"), *b = open_worker(RUN_1, NULL);
	spawn(group, work_to_the_end, a);
	spawn(group, work_to_the_end, b);
	ck_zero(put_range(a, 1, 200, WEIR_FOREVER));
	ck_zero(put_range(a, 201, 300, WEIR_FOREVER));
	ck_zero(ops->queue.seal(a, &err, WEIR_FOREVER));
	finish(group);
	check_end(b, 300, 297, 0);
	check_end(a, 300, 297, 0);
	close_worker(b);
	close_worker(a);
	stop_server(&server, redis);
}

LOOP_TEST(redis_broker_puts_only_where_it_stands)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct broker *a = open_worker("", "source"), *b = open_only();
	struct broker_past past;
	ck_zero(put_range(a, 1, 10, WEIR_FOREVER));
	ck_assert_int_eq(put_range(a, 5, 12, WEIR_FOREVER), BROKER_MOVED);
	ck_zero(put_range(a, 11, 20, WEIR_FOREVER));
	/* Another one that reads the source is refused as long as this one is there. */
	ck_assert_int_eq(try_begin(b, RUN_1, "source"), WEIR_EAGAIN);
	ck_assert_ptr_nonnull(strstr(err.text, "another process reads the source"));
	ck_zero(ops->journal.recall(b, &past, &err, WEIR_FOREVER));
	ck_assert(past.begun && !past.sealed && !past.done && past.unfinished == 20 && past.accounts.read == 20);
	ck_assert_str_eq(past.cursor.text, "20");
	ck_assert_str_eq(past.run, RUN_1);
	ck_assert_str_eq(past.source.data, "source");
	ck_assert_str_eq(past.file.data, "f.yaml");
	broker_past_fini(&past);
	close_worker(a);
	ck_zero(try_begin(b, RUN_1, "source"));
	ck_zero(put_range(b, 21, 21, WEIR_FOREVER));
	/* Items of a pipe whose cursor is what another one's was are items, too. */
	for (int i = 0; i < 2; i++) {
		struct item *item = make_item(22);
		struct source_cursor same = cursor_at(21);
		ck_zero(ops->queue.put(b, &item, 1, &same, &same, &err, WEIR_FOREVER));
	}
	ck_zero(ops->journal.audit(b, &err, WEIR_FOREVER));
	ck_assert_uint_eq(counts_of(b).accounts.read, 23);
	ck_assert_int_eq(ops->journal.forget(b, RUN_2, &err, WEIR_FOREVER), BROKER_MOVED);
	close_worker(b);
	stop_server(&server, redis);
}

static int ack_later(void *arg)
{
	struct broker *broker = arg;
	for (int i = 0; i < 5; i++)
		ack_one(broker, lease_one(broker));
	return 0;
}

LOOP_TEST(redis_broker_that_is_full_waits)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct weir_group *group = new_group();
	config.max_items = 10;
	struct broker *a = open_worker("", "source");
	ck_zero(put_range(a, 1, 10, WEIR_FOREVER));
	ck_assert_int_eq(put_range(a, 11, 12, weir_now() + 20 * WEIR_MSEC), WEIR_ETIMEDOUT);
	ck_assert_int_eq(counts_of(a).filled == 1, 1);
	spawn(group, ack_later, a);
	ck_zero(put_range(a, 11, 15, WEIR_FOREVER));
	finish(group);
	close_worker(a);
	stop_server(&server, redis);
}

LOOP_TEST(redis_broker_keeps_what_an_item_has_got)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct broker *a = open_worker("", "source"), *b = open_worker(RUN_1, NULL);
	ck_zero(put_range(a, 1, 1, WEIR_FOREVER));
	struct item *item = lease_one(a);
	weir_nsec born = item->born;
	item->attempts = 2;
	item->attempt_state.taken = weir_now() - 10 * WEIR_SEC;
	item->attempt_state.first = weir_now() - 5 * WEIR_SEC;
	item->attempt_state.excused = WEIR_FOREVER;
	item_set_why(item, "status: 503");
	ck_zero(value_copy(&item->record, "half\n\0done", 10));
	weir_nsec begun = weir_now();
	ck_zero(ops->queue.nack(a, item, 50 * WEIR_MSEC, &err, WEIR_FOREVER));
	item = lease_one(b);
	ck_assert_int_ge(weir_now() - begun, 49 * WEIR_MSEC);
	ck_assert_uint_eq(item->attempts, 2);
	ck_assert(item->position == 1 && item->id == 1);
	ck_assert(item->attempted);
	ck_assert_str_eq(item_why(item), "status: 503");
	ck_assert(item->record.len == 10 && !memcmp(item->record.data, "half\n\0done", 10));
	ck_assert_int_ge(weir_now() - item->attempt_state.taken, 10 * WEIR_SEC + 48 * WEIR_MSEC);
	ck_assert_int_ge(weir_now() - item->attempt_state.first, 5 * WEIR_SEC + 48 * WEIR_MSEC);
	/* What its ways took counts, not the 50 ms. */
	ck_assert_int_le(item->born, born + (weir_now() - begun) - 45 * WEIR_MSEC);
	ack_one(b, item);
	close_worker(a);
	close_worker(b);
	stop_server(&server, redis);
}

/* As another worker would that has seen nothing of it for a lease. */
static void take_out(struct redis *redis, const struct broker *broker)
{
	freeReplyObject(SAY(redis, "HDEL", KEY "alive", worker_name(broker)));
}

LOOP_TEST(redis_broker_taken_for_dead_loses_all_and_joins_again)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	ck_assert_int_eq(weir_histogram_new(&opts.trip_ns), 0);
	struct broker *a = open_worker("", "source"), *b = open_worker(RUN_1, NULL);
	const char *name = test_format("%s", worker_name(a));
	ck_zero(put_range(a, 1, 2, WEIR_FOREVER));
	struct item *item = lease_one(a), *mine = lease_one(a);
	item->attempts = 1;
	ck_zero(value_copy(&item->record, "record", 6));
	ck_zero(ops->queue.extend(a, item, &err, WEIR_FOREVER));
	take_out(redis, a);
	/* What it says of its items has no effect, and succeeds. */
	uint64_t id = item->id;
	ck_assert(ops->queue.holds(a, item));
	ck_zero(ops->queue.ack(a, &mine, 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	ck_assert(!ops->queue.holds(a, item));
	item_free(item);
	struct item *again[2];
	for (int i = 0; i < 2; i++)
		again[i] = lease_one(b);
	item = again[again[1]->id == id];
	ck_assert(item->attempts == 1 && item->record.len == 6);
	ack_one(b, again[0]);
	ack_one(b, again[1]);
	while (!strcmp(worker_name(a), name))
		weir_sleep(5 * WEIR_MSEC);
	ck_assert(counts_of(a).fenced == 2 && counts_of(b).fenced == 0);
	ck_assert_uint_eq(counts_of(a).reaped + counts_of(b).reaped, 2);
	ck_assert_uint_gt(weir_histogram_count(opts.trip_ns), 5);
	/* It goes on, also with putting. */
	ck_zero(put_range(a, 3, 3, WEIR_FOREVER));
	ack_one(a, lease_one(a));
	ck_zero(ops->queue.seal(a, &err, WEIR_FOREVER));
	check_end(a, 3, 3, 0);
	close_worker(a);
	close_worker(b);
	weir_histogram_free(opts.trip_ns);
	stop_server(&server, redis);
}

static int hold_up(void *arg)
{
	struct redis_broker *broker = arg;
	struct redis_command command = {0};
	redisReply *reply;
	redis_add_text(&command, "BLPOP");
	redis_add_text(&command, "go");
	redis_add_text(&command, "0");
	ck_zero(redis_call(broker->putting, &command, &reply, &err, WEIR_FOREVER));
	freeReplyObject(reply);
	redis_command_fini(&command);
	return 0;
}

static int put_third(void *arg)
{
	ck_zero(put_range(arg, 3, 3, WEIR_FOREVER));
	return 0;
}

/* That a put was sent under the old name is heard when it has items under the new one. */
LOOP_TEST(redis_broker_that_joined_again_keeps_what_it_took_since)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct weir_group *group = new_group();
	config.wait = 1; /* so puts have a connection of their own */
	struct broker *a = open_worker("", "source");
	config.wait = 0;
	ck_zero(put_range(a, 1, 2, WEIR_FOREVER));
	const char *first = test_format("%s", worker_name(a));
	spawn(group, hold_up, a);
	spawn(group, put_third, a);
	ck_assert_int_eq(weir_sleep(5 * WEIR_MSEC), 0); /* it is sent */
	take_out(redis, a);
	while (!strcmp(worker_name(a), first))
		weir_sleep(5 * WEIR_MSEC);
	const char *second = test_format("%s", worker_name(a));
	struct item *item = lease_one(a);
	freeReplyObject(SAY(redis, "LPUSH", "go", ""));
	finish(group);
	ck_assert_str_eq(worker_name(a), second);
	ck_assert(ops->queue.holds(a, item));
	ack_one(a, item);
	for (int i = 0; i < 2; i++)
		ack_one(a, lease_one(a));
	ck_zero(ops->queue.seal(a, &err, WEIR_FOREVER));
	check_end(a, 3, 3, 0);
	close_worker(a);
	stop_server(&server, redis);
}

/* Its name is at the server, and it was not told so. */
LOOP_TEST(redis_broker_is_not_in_its_own_way)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct broker *a = open_worker("", "source");
	struct redis_broker *own = (struct redis_broker *)a;
	const char *name = test_format("%s", worker_name(a)), *asked = "host/boot/1/2/3/0badcafe";
	snprintf(own->asked, sizeof own->asked, "%s", asked);
	freeReplyObject(SAY(redis, "HSET", KEY "alive", test_format("%s.99", asked), "0"));
	freeReplyObject(SAY(redis, "HSET", KEY "run", "producer", test_format("%s.99", asked)));
	take_out(redis, a);
	while (!strcmp(worker_name(a), name) && !own->failed.code)
		weir_sleep(5 * WEIR_MSEC);
	ck_assert_str_eq(own->failed.text, "");
	ck_zero(put_range(a, 1, 1, WEIR_FOREVER));
	close_worker(a);
	stop_server(&server, redis);
}

/* As after a failover to a replica that lacks the last writes; this worker is still known there. */
LOOP_TEST(redis_broker_puts_again_what_its_server_has_forgotten)
{
	struct server server;
	struct broker_past past;
	struct redis *redis = begin_server(&server);
	struct broker *a = open_worker("", "source");
	ck_zero(put_range(a, 1, 3, WEIR_FOREVER));
	redisReply *cursor = SAY(redis, "HGET", KEY "run", "cursor");
	ck_zero(put_range(a, 4, 6, WEIR_FOREVER));
	freeReplyObject(SAY(redis, "HSET", KEY "run", "cursor", cursor->str));
	freeReplyObject(cursor);
	ck_zero(ops->journal.recall(a, &past, &err, WEIR_FOREVER));
	ck_assert_str_eq(past.cursor.text, "3");
	broker_past_fini(&past);
	ck_assert_int_eq(put_range(a, 4, 6, WEIR_FOREVER), 0);
	close_worker(a);
	stop_server(&server, redis);
}

LOOP_TEST(redis_broker_finds_what_a_call_has_taken_that_came_late)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct broker *a = open_worker("", "source");
	ck_zero(put_range(a, 1, 1, WEIR_FOREVER));
	freeReplyObject(
		SAY(redis, "XREADGROUP", "GROUP", "w", worker_name(a), "COUNT", "1", "STREAMS", KEY "fresh:0", ">"));
	((struct redis_broker *)a)->tidy = 0;
	ack_one(a, lease_one(a));
	close_worker(a);
	stop_server(&server, redis);
}

static int recall_it(void *arg)
{
	struct broker_past past;
	ck_assert_int_eq(ops->journal.recall(arg, &past, &err, WEIR_FOREVER), WEIR_EBUSY);
	return 0;
}

LOOP_TEST(redis_broker_says_what_became_of_its_connection)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct weir_group *group = new_group();
	struct broker *a = open_only();
	ck_assert_int_eq(kill(server.pid, SIGSTOP), 0);
	spawn(group, recall_it, a);
	ck_assert_int_eq(weir_sleep(5 * WEIR_MSEC), 0); /* it is sent */
	stop_server(&server, redis);
	finish(group);
	ck_assert_ptr_nonnull(strstr(err.text, server.socket));
	close_worker(a);
}

/* The name of a process that is no more. */
static const char *name_of_the_dead(void)
{
	char *name = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	pid_t pid = fork();
	if (!pid) {
		struct fleet_host here;
		fleet_host_here(&here);
		fleet_name_make(&here, name);
		_exit(0);
	}
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
	return name;
}

/* A worker that is played by hand: so many items are its own. */
static void play_worker(struct redis *redis, const char *name, const char *items)
{
	freeReplyObject(SAY(redis, "HSET", KEY "alive", name, "5"));
	freeReplyObject(SAY(redis, "XREADGROUP", "GROUP", "w", name, "COUNT", items, "STREAMS", KEY "fresh:0", ">"));
}

/* All that was put is settled by this worker, and there is nothing else. */
static void work_off(struct broker *broker, uint64_t n)
{
	ck_zero(ops->queue.seal(broker, &err, WEIR_FOREVER));
	for (uint64_t i = 0; i < n; i++)
		ack_one(broker, lease_one(broker));
	check_end(broker, n, n, 0);
	close_worker(broker);
}

LOOP_TEST(redis_broker_takes_over_at_once_from_a_process_that_is_gone)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	config.lease = 3600 * WEIR_SEC;
	struct broker *a = open_worker("", "source");
	ck_zero(put_range(a, 1, 3, WEIR_FOREVER));
	close_worker(a);
	const char *dead = test_format("%s.7", name_of_the_dead());
	play_worker(redis, dead, "2");
	freeReplyObject(SAY(redis, "HSET", KEY "run", "producer", dead));
	work_off(open_worker(RUN_1, "source"), 3);
	stop_server(&server, redis);
}

LOOP_TEST(redis_broker_takes_over_from_who_is_silent)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct broker *a = open_worker("", "source");
	ck_zero(put_range(a, 1, 1, WEIR_FOREVER));
	play_worker(redis, "elsewhere.9", "1");
	work_off(a, 1);
	stop_server(&server, redis);
}

LOOP_TEST(redis_broker_finds_what_an_answer_has_lost)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct broker *a = open_worker("", "source");
	/* The clock was set back by two hours; an hour goes by. */
	freeReplyObject(SAY(redis, "HSET", KEY "run", "ahead", "7200000"));
	ck_zero(put_range(a, 1, 3, WEIR_FOREVER));
	struct item *first = lease_one(a);
	/* It was handed this one, and has not heard of it. */
	redisReply *handed =
		SAY(redis, "XREADGROUP", "GROUP", "w", worker_name(a), "COUNT", "1", "STREAMS", KEY "fresh:0", ">");
	const char *id = handed->element[0]->element[1]->element[0]->element[0]->str;
	uint64_t lost = strtoull(strchr(id, '-') + 1, NULL, 10);
	freeReplyObject(handed);
	freeReplyObject(SAY(redis, "HSET", KEY "run", "ahead", "10800000"));
	redisReply *me = SAY(redis, "CLIENT", "ID");
	freeReplyObject(SAY(redis, "CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"));
	freeReplyObject(me);
	uint64_t sum = first->id;
	for (int i = 0; i < 2; i++) {
		struct item *item = lease_one(a);
		sum += item->id;
		if (item->id == lost)
			ck_assert_int_ge(weir_clock() - item->born, 3600 * WEIR_SEC);
		int code;
		while ((code = ops->queue.ack(a, &item, 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER)) == WEIR_EBUSY)
			weir_sleep(10 * WEIR_MSEC);
		ck_assert_int_eq(code, 0);
	}
	ck_assert_uint_eq(sum, 1 + 2 + 3);
	ck_assert(ops->queue.holds(a, first));
	ack_one(a, first);
	ck_zero(ops->queue.seal(a, &err, WEIR_FOREVER));
	check_end(a, 3, 3, 0);
	close_worker(a);
	stop_server(&server, redis);
}

LOOP_TEST(redis_broker_that_stops_gives_back_what_nobody_has_begun)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct broker *a = open_worker("", "source"), *b = open_worker(RUN_1, NULL);
	ck_zero(put_range(a, 1, 100, WEIR_FOREVER));
	struct item *item = NULL;
	for (int i = 0; i < 30; i++) { /* so it fetches some ahead */
		item = lease_one(a);
		if (i < 29)
			ack_one(a, item);
	}
	ops->queue.stop(a);
	struct item *none;
	ck_assert_int_eq(ops->queue.lease(a, &none, 1, &err, WEIR_FOREVER), WEIR_ECLOSED);
	ck_assert_int_eq(put_range(a, 101, 101, WEIR_FOREVER), WEIR_ECLOSED);
	ck_zero(ops->queue.nack(a, item, 0, &err, WEIR_FOREVER));
	for (int i = 0; i < 71; i++)
		ack_one(b, lease_one(b));
	close_worker(a);
	ck_zero(ops->journal.audit(b, &err, WEIR_FOREVER));
	ck_assert_uint_eq(counts_of(b).accounts.succeeded, 100);
	close_worker(b);
	redisReply *alive = SAY(redis, "EXISTS", KEY "alive");
	ck_assert_int_eq(alive->integer, 0);
	freeReplyObject(alive);
	stop_server(&server, redis);
}

LOOP_TEST(redis_broker_wakes_who_waits)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct broker *a = open_worker("", "source"), *b = open_worker(RUN_1, NULL);
	for (uint64_t i = 1; i <= 20; i++) {
		struct weir_group *group = new_group();
		struct item *item;
		ck_assert_int_eq(ops->queue.lease(b, &item, 1, &err, weir_now() + 5 * WEIR_MSEC), WEIR_ETIMEDOUT);
		weir_nsec begun = weir_now();
		ck_zero(put_range(a, i, i, WEIR_FOREVER));
		ack_one(b, lease_one(b));
		ck_assert_int_lt(weir_now() - begun, 900 * WEIR_MSEC); /* less than it waits at most */
		finish(group);
	}
	close_worker(a);
	close_worker(b);
	stop_server(&server, redis);
}

LOOP_TEST(redis_broker_that_was_reset_says_so)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct broker *a = open_worker("", "source");
	struct item *item;
	ck_zero(put_range(a, 1, 3, WEIR_FOREVER));
	item = lease_one(a);
	freeReplyObject(SAY(redis, "FLUSHALL"));
	ck_assert_int_eq(ops->queue.ack(a, &item, 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER), WEIR_ECLOSED);
	ck_assert_ptr_nonnull(strstr(err.text, "the broker was reset"));
	item_free(item);
	err.text[0] = 0;
	while (ops->queue.lease(a, &item, 1, &err, WEIR_FOREVER) == 1)
		item_free(item);
	ck_assert_ptr_nonnull(strstr(err.text, "the broker was reset"));
	ck_assert_int_eq(put_range(a, 4, 4, WEIR_FOREVER), WEIR_ECLOSED);
	close_worker(a);
	stop_server(&server, redis);
}

LOOP_TEST(redis_broker_says_how_many_items_a_stranger_has_deleted)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct broker *a = open_worker("", "source");
	struct item *item;
	ck_zero(put_range(a, 1, 3, WEIR_FOREVER));
	ck_zero(ops->queue.seal(a, &err, WEIR_FOREVER));
	item = lease_one(a);
	freeReplyObject(SAY(redis, "XTRIM", KEY "fresh:0", "MAXLEN", "0"));
	ack_one(a, item);
	while (ops->queue.lease(a, &item, 1, &err, WEIR_FOREVER) == 1)
		ack_one(a, item);
	ck_assert_int_eq(ops->journal.audit(a, &err, WEIR_FOREVER), WEIR_EDATA);
	ck_assert_ptr_nonnull(strstr(err.text, "unfinished, but the broker holds 0"));
	close_worker(a);
	stop_server(&server, redis);
}

/* ---- servers that will not do */

static void refuse_to_open(int code, const char *says)
{
	struct broker *broker;
	ck_assert_int_eq(ops->open(&config, &opts, &broker, &err), code);
	ck_assert_msg(strstr(err.text, says) != NULL, "%s", err.text);
}

static void refuse_to_recall(const char *says)
{
	struct broker *broker = open_only();
	struct broker_past past;
	ck_assert_int_eq(ops->journal.recall(broker, &past, &err, WEIR_FOREVER), WEIR_EINVAL);
	ck_assert_msg(strstr(err.text, says) != NULL, "%s", err.text);
	close_worker(broker);
}

LOOP_TEST(redis_broker_refuses_a_server_that_will_not_do)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	const char *url = config.url;
	freeReplyObject(SAY(redis, "CONFIG", "SET", "maxmemory-policy", "allkeys-lru"));
	refuse_to_open(WEIR_EINVAL, "maxmemory-policy: allkeys-lru");
	freeReplyObject(SAY(redis, "CONFIG", "SET", "maxmemory-policy", "volatile-lru"));
	freeReplyObject(SAY(redis, "SET", KEY "run", "mine"));
	refuse_to_recall("the key " KEY "run in Redis at ");
	freeReplyObject(SAY(redis, "DEL", KEY "run"));
	close_worker(open_worker("", "source"));
	freeReplyObject(SAY(redis, "HSET", KEY "run", "format", "99"));
	refuse_to_recall("has the format 99 of another release");
	freeReplyObject(SAY(redis, "DEL", KEY "run"));
	freeReplyObject(SAY(redis, "ACL", "SETUSER", "u", "on", ">secret", "~weir:*", "+@all", "-xadd"));
	config.url = (char *)(uintptr_t)test_format("redis+unix://u:secret@%s", server.socket);
	refuse_to_open(WEIR_EINVAL, "does not let weir in");
	freeReplyObject(SAY(redis, "ACL", "SETUSER", "u", "+xadd", "resetkeys", "~other:*"));
	refuse_to_open(WEIR_EINVAL, "does not let weir in");
	config.url = (char *)(uintptr_t)test_format("redis+unix://u:wrong@%s", server.socket);
	refuse_to_open(WEIR_EINVAL, "does not accept the user and password");
	config.url = (char *)(uintptr_t)url;
	stop_server(&server, redis);
	refuse_to_open(WEIR_ENOENT, "cannot connect to Redis");
}

/* ---- dead letters */

static struct buf do_letters(struct broker *broker, const struct letters_request *request, uint64_t n)
{
	struct buf out = {0};
	uint64_t got = 99;
	buf_add_str(&out, "");
	ck_zero(ops->journal.letters(broker, request, &out, &got, &err, WEIR_FOREVER));
	ck_assert_uint_eq(got, n);
	return out;
}

static void expect_letters(struct broker *broker, const struct letters_request *request, uint64_t n, const char *says)
{
	struct buf out = do_letters(broker, request, n);
	ck_assert_msg(strstr(out.data, says) != NULL, "%s", out.data);
	buf_fini(&out);
}

static void bury_some(struct broker *broker, int n)
{
	for (int i = 0; i < n; i++) {
		struct item *item = lease_one(broker);
		item->attempts = 4;
		item_set_why(item, item->position % 2 ? "status: 404" : "status: 500");
		ck_zero(value_copy(&item->evidence, "{\"status\":404}", 14));
		ck_zero(ops->queue.bury(broker, item, &err, WEIR_FOREVER));
	}
}

LOOP_TEST(redis_broker_keeps_dead_letters_for_who_only_looks)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct broker *look = open_only();
	expect_letters(look, &(struct letters_request){LETTERS_LIST}, 0, "");
	struct broker *a = open_worker("", "source");
	ck_zero(put_range(a, 1, 5, WEIR_FOREVER));
	bury_some(a, 5);
	ck_assert_uint_eq(counts_of(a).letters, 5);
	expect_letters(look, &(struct letters_request){LETTERS_LIST, {.limit = 2}}, 2,
		       "{\"id\":2,\"reason\":\"status: 500\",\"attempts\":4,\"position\":2,");
	expect_letters(look, &(struct letters_request){LETTERS_LIST, {.reason = "404", .after = 1}}, 5, "\"id\":3");
	expect_letters(look, &(struct letters_request){LETTERS_GROUPS}, 0, "\"letters\":5,\"groups\":1");
	expect_letters(look, &(struct letters_request){LETTERS_PURGE, {.reason = "500"}}, 2, "");
	expect_letters(look, &(struct letters_request){LETTERS_REPLAY, {.id = 3}}, 1, "");
	struct letter_mend mends[] = {{.id = 2, .item = {"0", 1}}, {.id = 5, .item = {"{\"n\":50}", 8}}};
	expect_letters(look, &(struct letters_request){LETTERS_MEND, .mends = mends, .mend_count = 2}, 1, "");
	ck_assert(!mends[0].done && mends[1].done);
	expect_letters(look, &(struct letters_request){LETTERS_LIST}, 1, "\"id\":1,");
	struct item *item = lease_one(a); /* what comes back goes first */
	ck_assert(item->id == 3 && item_number(item) == 3 && !item->attempts && item->position == 3);
	/* It dies again, and has a history; meanwhile it was tried again. */
	ck_zero(ops->queue.nack(a, item, WEIR_MSEC, &err, WEIR_FOREVER));
	item = lease_one(a);
	ck_assert_str_eq(item->source.data, "{\"n\":50}");
	ck_assert(item->id == 6 && item_number(item) == 6);
	ack_one(a, item);
	bury_some(a, 1);
	expect_letters(look, &(struct letters_request){LETTERS_LIST, {.id = 3}}, 3,
		       "\"history\":[{\"id\":3,\"reason\":\"status: 404\",\"attempts\":4,");
	ck_zero(ops->queue.seal(a, &err, WEIR_FOREVER));
	check_end(a, 5, 1, 4);
	ck_assert_int_eq(ops->journal.letters(a, &(struct letters_request){LETTERS_REPLAY}, NULL, &(uint64_t){0}, &err,
					      WEIR_FOREVER),
			 WEIR_ECLOSED);
	close_worker(a);
	close_worker(look);
	stop_server(&server, redis);
}

/* ---- the fleet */

struct member {
	struct fleet_limit limit;
	struct fleet_listener listener;
	int heard;
	const char *settings, *stop;
	bool failed;
	size_t workers;
};

static struct fleet_limit *say(void *arg, struct buf *record, size_t *ret_n)
{
	struct member *member = arg;
	buf_add_str(record, "{\"host\":\"h\"}");
	*ret_n = 1;
	return &member->limit;
}

static void hear(void *arg, const struct fleet_news *news)
{
	struct member *member = arg;
	member->heard++;
	member->workers = news->workers;
	member->failed = news->failed;
	if (news->settings)
		member->settings = test_format("%s", news->settings);
	member->stop = news->stop ? test_format("%s", news->stop) : NULL;
}

static struct broker *open_member(struct member *member, const char *was, const char *source)
{
	*member = (struct member){.limit = {.name = "rate", .share = {.capacity = 100, .needs = 100}},
				  .listener = {.say = say, .hear = hear, .arg = member}};
	opts.fleet = &member->listener;
	struct broker *broker = open_worker(was, source);
	ck_assert_int_gt(member->heard, 0);
	return broker;
}

/* It looks again once a minute. */
LOOP_TEST(redis_broker_ends_when_its_server_begins_to_evict)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct member member;
	struct item *item;
	struct broker *a = open_member(&member, "", "source");
	freeReplyObject(SAY(redis, "CONFIG", "SET", "maxmemory-policy", "allkeys-lfu"));
	((struct redis_broker *)a)->checked = weir_now() - 61 * WEIR_SEC;
	while (!member.failed)
		weir_sleep(10 * WEIR_MSEC);
	ck_assert_int_eq(ops->queue.lease(a, &item, 1, &err, WEIR_FOREVER), WEIR_EINVAL);
	ck_assert_msg(strstr(err.text, "maxmemory-policy: allkeys-lfu") != NULL, "%s", err.text);
	opts.fleet = NULL;
	close_worker(a);
	stop_server(&server, redis);
}

static struct fleet_limit *say_nothing(void *arg, struct buf *record, size_t *ret_n)
{
	(void)arg, (void)record, (void)ret_n;
	return NULL;
}

static void hear_of_another_run(void *arg, const struct fleet_news *news)
{
	struct redis_broker *broker = arg;
	(void)news;
	broker->run[0] = 'x';
}

/* Right behind its first meeting, before it has taken out who is gone. */
LOOP_TEST(redis_broker_that_is_reset_while_it_begins_says_so)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct fleet_listener listener = {.say = say_nothing, .hear = hear_of_another_run};
	close_worker(open_worker("", "source"));
	opts.fleet = &listener;
	struct broker *a = open_only();
	opts.fleet = NULL;
	listener.arg = a;
	err = (struct weir_error){0};
	ck_assert_int_eq(try_begin(a, RUN_1, NULL), WEIR_ECLOSED);
	ck_assert_msg(strstr(err.text, "the broker was reset") != NULL, "\"%s\"", err.text);
	close_worker(a);
	stop_server(&server, redis);
}

static const char *plan_at(struct redis *redis)
{
	redisReply *reply = SAY(redis, "HGET", KEY "run", "plan");
	const char *plan = test_format("%s", reply->str);
	freeReplyObject(reply);
	return plan;
}

static int begin_with(struct broker *broker, const char *plan, const char *stop)
{
	const struct broker_start start = {.was = RUN_1, .run = RUN_1, .plan = plan, .file = "f.yaml", .stop = stop};
	return ops->journal.begin(broker, &start, &err, WEIR_FOREVER);
}

/* Who joins with the plan that it has looked at is refused once another one has changed it, and who works by it stops,
 * also if it was taken for dead meanwhile. */
LOOP_TEST(redis_broker_changes_its_plan_only_for_who_adopts)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct member members[2];
	struct broker_past past;
	struct broker *a = open_member(&members[0], "", "source"), *b = open_member(&members[1], RUN_1, NULL);
	opts.fleet = NULL;
	struct broker *late = open_only(), *adopts = open_only();
	ck_zero(ops->journal.recall(late, &past, &err, WEIR_FOREVER));
	broker_past_fini(&past);
	ck_zero(ops->journal.recall(adopts, &past, &err, WEIR_FOREVER));
	broker_past_fini(&past);
	freeReplyObject(SAY(redis, "HDEL", KEY "alive", worker_name(b)));
	ck_zero(begin_with(adopts, "new", "adopted"));
	ck_assert_str_eq(plan_at(redis), "new");
	ck_assert_int_eq(begin_with(late, "plan", NULL), BROKER_MOVED);
	ck_assert_int_eq(begin_with(late, "other", NULL), BROKER_MOVED);
	ck_zero(begin_with(late, "new", NULL)); /* as it would after another look */
	ck_assert_str_eq(plan_at(redis), "new");
	while (!members[0].stop || !members[1].stop)
		weir_sleep(10 * WEIR_MSEC);
	ck_assert_str_eq(members[0].stop, "adopted");
	ck_assert_str_eq(members[1].stop, "adopted");
	redisReply *alive = SAY(redis, "HLEN", KEY "alive");
	ck_assert_int_eq(alive->integer, 3); /* b is not among them */
	freeReplyObject(alive);
	close_worker(b);
	close_worker(a);
	close_worker(late);
	close_worker(adopts);
	stop_server(&server, redis);
}

LOOP_TEST(redis_broker_lets_workers_hear_of_each_other)
{
	struct server server;
	struct redis *redis = begin_server(&server);
	struct member members[2];
	struct fleet_view view;
	struct broker *look = open_only();
	ck_assert_int_eq(ops->fleet->tell(look, &(struct fleet_order){.stop = "no"}, &err, WEIR_FOREVER), WEIR_ENOENT);
	struct broker *a = open_member(&members[0], "", "source");
	ck_assert_uint_eq(fleet_share_now(&members[0].limit.share, weir_now()), 0); /* nobody has heard of it yet */
	ck_zero(ops->fleet->tell(look, &(struct fleet_order){.stop = "old", .settings = "{}"}, &err, WEIR_FOREVER));
	struct broker *b = open_member(&members[1], RUN_1, NULL);
	ck_assert_str_eq(members[1].settings, "{}");
	ck_assert_ptr_null(members[1].stop);
	uint64_t shares[2] = {0};
	while (shares[0] != 50 || shares[1] != 50 || !members[0].stop) {
		weir_sleep(10 * WEIR_MSEC);
		for (int i = 0; i < 2; i++)
			shares[i] = fleet_share_now(&members[i].limit.share, weir_now());
		ck_assert_uint_le(shares[0] + shares[1], 100);
	}
	ck_assert_str_eq(members[0].stop, "old");
	ck_assert_ptr_null(members[1].stop);
	ck_assert(members[0].workers == 2 && members[1].workers == 2);
	ck_zero(ops->fleet->look(look, &view, &err, WEIR_FOREVER));
	ck_assert_uint_eq(view.n, 2);
	ck_assert_str_eq(view.workers[0].name, worker_name(a));
	ck_assert_str_eq(view.workers[1].record, "{\"host\":\"h\"}");
	ck_assert_int_lt(view.workers[1].silent, 10 * WEIR_SEC);
	ck_assert_str_eq(view.settings, "{}");
	ck_assert_str_eq(view.stop, "old");
	fleet_view_fini(&view);
	close_worker(b);
	ck_assert_uint_eq(fleet_share_now(&members[1].limit.share, weir_now()), 0);
	while (fleet_share_now(&members[0].limit.share, weir_now()) != 100)
		weir_sleep(10 * WEIR_MSEC);
	freeReplyObject(SAY(redis, "FLUSHALL"));
	while (!members[0].failed)
		weir_sleep(10 * WEIR_MSEC);
	close_worker(a);
	close_worker(look);
	stop_server(&server, redis);
}
