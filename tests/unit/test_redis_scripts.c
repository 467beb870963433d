/* SPDX-License-Identifier: MIT */
/* What each script of the queue answers, where the model (tests/model) does not look: order, bounds, a server that is
 * full, who may begin and who may join. */
#include "unit/fibers.h"
#include "unit/redises.h"

#include "redis/scripts.h"

enum { STREAM_SUSPECT = 1, STREAM_RETURNED, STREAM_FRESH };

struct queue {
	struct server server;
	struct redis *redis;
	const char *worker;
	size_t classes;
};

static void add_keys(struct redis_command *rest, size_t classes)
{
	static const char *const keys[] = REDIS_KEYS;
	const size_t n = sizeof keys / sizeof *keys;
	redis_add_number(rest, (int64_t)(n + classes));
	for (size_t i = 0; i < n; i++)
		redis_add_text(rest, test_format("weir:{q}:%s", keys[i]));
	for (size_t i = 0; i < classes; i++)
		redis_add_text(rest, test_format("weir:{q}:fresh:%zu", i));
}

/* The code; words end with NULL. */
static int try_script(struct queue *queue, enum redis_script_name name, redisReply **ret_reply,
		      const char *const *words)
{
	struct redis_script script;
	struct redis_command rest = {0};
	struct weir_error err;
	redis_script_init(&script, redis_script_texts[name]);
	add_keys(&rest, queue->classes);
	for (; *words; words++)
		redis_add_text(&rest, *words);
	int code = redis_eval(queue->redis, &script, &rest, ret_reply, &err, WEIR_FOREVER);
	redis_command_fini(&rest);
	if (code && code != WEIR_ENOSPC)
		ck_abort_msg("%s", err.text);
	return code;
}

static redisReply *run_script(struct queue *queue, enum redis_script_name name, const char *const *words)
{
	redisReply *reply;
	ck_assert_int_eq(try_script(queue, name, &reply, words), 0);
	return reply;
}

/* With the run and the worker in front. */
#define RUN(queue, name, ...) run_script(queue, name, (const char *const[]){"run1", (queue)->worker, __VA_ARGS__, NULL})
#define TRY_RUN(queue, name, reply, ...)                                                                               \
	try_script(queue, name, reply, (const char *const[]){"run1", (queue)->worker, __VA_ARGS__, NULL})
#define START(queue, was, run, role, format)                                                                           \
	run_script(queue, REDIS_START,                                                                                 \
		   (const char *const[]){was, "w", run, role, format, "plan", "file", "=source", "record", "", "", "", \
					 NULL})

/* The first word of an answer, and the second one as a number; the answer is freed. */
static void expect(redisReply *reply, const char *word, long long number)
{
	ck_assert_str_eq(reply->element[0]->str, word);
	if (number >= 0)
		ck_assert_int_eq(reply->element[1]->integer, number);
	freeReplyObject(reply);
}

static const char *name_in(redisReply *reply)
{
	ck_assert_str_eq(reply->element[0]->str, "OK");
	const char *name = test_format("%s", reply->element[1]->str);
	freeReplyObject(reply);
	return name;
}

static struct queue begin_queue(size_t classes)
{
	struct queue queue = {.classes = classes};
	queue.redis = start_server(&queue.server, NULL, NULL);
	queue.worker = name_in(START(&queue, "", "run1", "submit", REDIS_FORMAT));
	return queue;
}

static void end_queue(struct queue *queue)
{
	stop_server(&queue->server, queue->redis);
}

/* Items 1 to n with these classes, one after the other. */
static void put(struct queue *queue, const char *classes)
{
	for (size_t i = 0; classes[i]; i++)
		expect(RUN(queue, REDIS_ENQ, i ? test_format("%zu", i) : "", test_format("%zu", i + 1), "1000", "0",
			   test_format("%c", classes[i]), "m", test_format("body%zu", i + 1)),
		       "OK", -1);
}

/* "STREAM-ITEM STREAM-ITEM ", in the order in which they are handed out. */
static const char *take(struct queue *queue, const char *most, const char *fresh_first, const char *aging)
{
	redisReply *reply = RUN(queue, REDIS_TAKE, most, fresh_first, aging);
	const char *text = "";
	ck_assert_str_eq(reply->element[0]->str, "OK");
	const redisReply *entries = reply->element[2];
	for (size_t i = 0; i < entries->elements; i++)
		text = test_format("%s%lld%s ", text, entries->element[i]->element[0]->integer,
				   strchr(entries->element[i]->element[1]->str, '-'));
	freeReplyObject(reply);
	return text;
}

/* The id of an item that is pending in a stream. */
static const char *id_of(struct queue *queue, int stream, const char *item)
{
	static const char *const keys[] = REDIS_KEYS;
	const char *key = stream < STREAM_FRESH ? test_format("weir:{q}:%s", keys[9 + stream])
						: test_format("weir:{q}:fresh:%d", stream - STREAM_FRESH);
	redisReply *all = SAY(queue->redis, "XRANGE", key, "-", "+");
	const char *id = "";
	for (size_t i = 0; i < all->elements; i++)
		if (!strcmp(strchr(all->element[i]->element[0]->str, '-') + 1, item))
			id = test_format("%s", all->element[i]->element[0]->str);
	freeReplyObject(all);
	return id;
}

LOOP_TEST(redis_queue_is_begun_once_and_joined)
{
	struct queue queue = begin_queue(1);
	expect(START(&queue, "other", "run2", "work", REDIS_FORMAT), "MOVED", -1);
	expect(START(&queue, "run1", "run1", "work", "0"), "FORMAT", -1);
	expect(START(&queue, "run1", "run1", "submit", REDIS_FORMAT), "BUSY", -1);
	const char *other = name_in(START(&queue, "run1", "run1", "work", REDIS_FORMAT));
	ck_assert_str_ne(other, queue.worker);
	put(&queue, "0");
	/* Another run: whoever is at the old one hears of it. */
	name_in(START(&queue, "run1", "run2", "submit", REDIS_FORMAT));
	expect(RUN(&queue, REDIS_TAKE, "1", "0", "0"), "RESET", -1);
	redisReply *reply = run_script(&queue, REDIS_ACCOUNT, (const char *const[]){NULL});
	ck_assert_int_eq(reply->element[2]->element[0]->integer, 0);
	ck_assert_int_eq(reply->element[2]->element[5]->integer, 0);
	freeReplyObject(reply);
	expect(run_script(&queue, REDIS_FORGET, (const char *const[]){"run1", NULL}), "MOVED", -1);
	expect(run_script(&queue, REDIS_FORGET, (const char *const[]){"run2", NULL}), "OK", -1);
	expect(run_script(&queue, REDIS_ACCOUNT, (const char *const[]){NULL}), "NONE", -1);
	ck_assert_str_ne(name_in(START(&queue, "", "run3", "submit", REDIS_FORMAT)), other); /* tickets go on */
	freeReplyObject(SAY(queue.redis, "FLUSHALL"));
	expect(RUN(&queue, REDIS_TAKE, "1", "0", "0"), "RESET", -1);
	expect(run_script(&queue, REDIS_ACCOUNT, (const char *const[]){NULL}), "NONE", -1);
	end_queue(&queue);
}

LOOP_TEST(redis_queue_hands_out_what_came_back_first)
{
	struct queue queue = begin_queue(1);
	put(&queue, "00000");
	ck_assert_str_eq(take(&queue, "2", "0", "0"), "3-1 3-2 ");
	expect(RUN(&queue, REDIS_GIVE, "3", id_of(&queue, STREAM_FRESH, "2")), "OK", 1);
	expect(RUN(&queue, REDIS_RETRY, "3", id_of(&queue, STREAM_FRESH, "1"), "0", "m2"), "OK", 1);
	ck_assert_str_eq(take(&queue, "1", "1", "0"), "3-3 ");
	ck_assert_str_eq(take(&queue, "9", "0", "0"), "2-2 2-1 3-4 3-5 ");
	ck_assert_str_eq(take(&queue, "9", "0", "0"), "");
	end_queue(&queue);
}

LOOP_TEST(redis_queue_ages_its_classes)
{
	struct queue queue = begin_queue(3);
	put(&queue, "2210");
	ck_assert_str_eq(take(&queue, "9", "0", "1000000"), "3-4 4-3 5-1 5-2 ");
	end_queue(&queue);
	queue = begin_queue(3);
	expect(RUN(&queue, REDIS_ENQ, "", "1", "9", "0", "1", "m", "b"), "OK", -1);
	freeReplyObject(SAY(queue.redis, "HSET", "weir:{q}:run", "ahead", "1000000"));
	expect(RUN(&queue, REDIS_ENQ, "1", "3", "9", "0", "0", "m", "b", "2", "m", "b"), "OK", -1);
	ck_assert_str_eq(take(&queue, "9", "0", "1000"), "4-1 3-2 5-3 "); /* it has waited for more than a class */
	end_queue(&queue);
}

LOOP_TEST(redis_queue_is_bounded_in_items_and_bytes)
{
	struct queue queue = begin_queue(1);
	expect(RUN(&queue, REDIS_ENQ, "", "1", "1", "0", "0", "m", "a", "0", "m", "b"), "OK", -1); /* one call always */
	expect(RUN(&queue, REDIS_ENQ, "1", "2", "2", "0", "0", "m", "c"), "FULL", -1);
	expect(RUN(&queue, REDIS_ENQ, "1", "2", "3", "10", "0", "m", "c"), "FULL", -1);
	/* What is kept of items takes room, too. */
	ck_assert_str_eq(take(&queue, "1", "0", "0"), "3-1 ");
	const char *kept = test_format("%0300000d", 0), *id = id_of(&queue, STREAM_FRESH, "1");
	expect(RUN(&queue, REDIS_KEEP, "3", id, "1", kept), "OK", 1);
	expect(RUN(&queue, REDIS_ENQ, "1", "2", "3", "300000", "0", "m", "c"), "FULL", -1);
	expect(RUN(&queue, REDIS_ENQ, "1", "2", "3", "1000000", "0", "m", "c"), "OK", -1);
	expect(RUN(&queue, REDIS_ENQ, "1", "2", "3", "1000000", "0", "m", "c"), "OK", -1); /* sent again */
	expect(RUN(&queue, REDIS_ENQ, "1", "3", "9", "0", "0", "m", "c"), "MOVED", -1);
	ck_assert_str_eq(take(&queue, "9", "0", "0"), "3-2 3-3 ");
	end_queue(&queue);
}

LOOP_TEST(redis_queue_hands_out_few_of_what_is_large)
{
	struct queue queue = begin_queue(1);
	char *body = malloc((1u << 20) + 1);
	memset(body, 'x', 1u << 20);
	body[1u << 20] = 0;
	for (int i = 0; i < 20; i++)
		expect(RUN(&queue, REDIS_ENQ, i ? test_format("%d", i) : "", test_format("%d", i + 1), "100", "0", "0",
			   "m", body),
		       "OK", -1);
	free(body);
	ck_assert_str_eq(take(&queue, "256", "0", "0"), "3-1 3-2 3-3 3-4 ");
	ck_assert_str_eq(take(&queue, "2", "0", "0"), "3-5 3-6 ");
	end_queue(&queue);
}

LOOP_TEST(redis_queue_that_is_out_of_memory_drains)
{
	struct queue queue = begin_queue(1);
	redisReply *reply;
	put(&queue, "00000");
	ck_assert_str_eq(take(&queue, "4", "0", "0"), "3-1 3-2 3-3 3-4 ");
	freeReplyObject(SAY(queue.redis, "CONFIG", "SET", "maxmemory", "1"));
	ck_assert_int_eq(TRY_RUN(&queue, REDIS_ENQ, &reply, "5", "6", "9", "0", "0", "m", "b"), WEIR_ENOSPC);
	expect(RUN(&queue, REDIS_DONE, "succeeded", "3", id_of(&queue, STREAM_FRESH, "1")), "OK", 1);
	expect(RUN(&queue, REDIS_RETRY, "3", id_of(&queue, STREAM_FRESH, "2"), "0", "m"), "OK", 1);
	expect(RUN(&queue, REDIS_BURY, "3", id_of(&queue, STREAM_FRESH, "3"), "m", "why", ""), "OK", 1);
	expect(RUN(&queue, REDIS_GIVE, "3", id_of(&queue, STREAM_FRESH, "4")), "OK", 1);
	ck_assert_str_eq(take(&queue, "9", "0", "0"), "2-2 2-4 3-5 ");
	expect(RUN(&queue, REDIS_SEAL, "5"), "OK", -1);
	end_queue(&queue);
}

LOOP_TEST(redis_queue_waits_for_retries_and_ends)
{
	struct queue queue = begin_queue(1);
	put(&queue, "0");
	expect(RUN(&queue, REDIS_SEAL, "0"), "MOVED", -1);
	expect(RUN(&queue, REDIS_SEAL, "1"), "OK", -1);
	ck_assert_str_eq(take(&queue, "9", "0", "0"), "3-1 ");
	expect(RUN(&queue, REDIS_RETRY, "3", id_of(&queue, STREAM_FRESH, "1"), "3600000", "m2"), "OK", 1);
	redisReply *reply = RUN(&queue, REDIS_MOVE, "10");
	ck_assert_int_eq(reply->element[1]->integer, 0);
	ck_assert_int_gt(reply->element[2]->integer, 3000000);
	freeReplyObject(reply);
	ck_assert_str_eq(take(&queue, "9", "0", "0"), "");
	/* The clock goes on by two hours, and is set back by them: what is due stays due. */
	freeReplyObject(SAY(queue.redis, "HSET", "weir:{q}:run", "ahead", "7200000"));
	expect(RUN(&queue, REDIS_MOVE, "0"), "OK", 0);
	freeReplyObject(SAY(queue.redis, "HSET", "weir:{q}:run", "ahead", "0"));
	expect(RUN(&queue, REDIS_MOVE, "10"), "OK", 1);
	ck_assert_str_eq(take(&queue, "9", "0", "0"), "2-1 ");
	const char *id = id_of(&queue, STREAM_RETURNED, "1");
	expect(RUN(&queue, REDIS_DONE, "dropped", "2", id), "OK", 1);
	expect(RUN(&queue, REDIS_DONE, "dropped", "2", id), "OK", 0);
	expect(RUN(&queue, REDIS_RETRY, "2", id, "0", "m"), "OK", 0);
	expect(RUN(&queue, REDIS_TAKE, "9", "0", "0"), "END", -1);
	end_queue(&queue);
}

/* Two workers die with two items; then they are suspects, and each worker gets one of them. */
LOOP_TEST(redis_queue_buries_what_its_workers_die_of)
{
	struct queue queue = begin_queue(1);
	const char *submit = queue.worker;
	put(&queue, "00");
	for (int death = 1; death <= 5; death++) {
		queue.worker = name_in(START(&queue, "run1", "run1", "work", REDIS_FORMAT));
		const char *got = take(&queue, "9", "0", "0");
		ck_assert_str_eq(got, death == 1 ? "3-1 3-2 " : death == 2 ? "2-1 2-2 " : death == 4 ? "1-2 " : "1-1 ");
		if (death > 2)
			ck_assert_str_eq(take(&queue, "9", "0", "0"), "");
		const char *victim = queue.worker;
		queue.worker = submit;
		expect(RUN(&queue, REDIS_KILL, victim, "7"), "OK", 0);
		expect(RUN(&queue, REDIS_KILL, victim, "0"), "OK", 1);
		expect(RUN(&queue, REDIS_REAP, "100", "4"), "OK", death < 3 ? 2 : 1);
		queue.worker = victim;
		expect(RUN(&queue, REDIS_TAKE, "1", "0", "0"), "FENCED", -1);
		queue.worker = submit;
	}
	redisReply *letters = SAY(queue.redis, "HKEYS", "weir:{q}:letters");
	ck_assert_uint_eq(letters->elements, 1);
	freeReplyObject(letters);
	end_queue(&queue);
}

static const char *meta_of(struct queue *queue)
{
	redisReply *reply = RUN(queue, REDIS_TAKE, "9", "0", "0");
	const char *meta = test_format("%s", reply->element[2]->element[0]->element[2]->str);
	freeReplyObject(reply);
	return meta;
}

LOOP_TEST(redis_queue_keeps_what_an_item_has_got)
{
	struct queue queue = begin_queue(1);
	const char *submit = queue.worker;
	put(&queue, "0");
	queue.worker = name_in(START(&queue, "run1", "run1", "work", REDIS_FORMAT));
	ck_assert_str_eq(meta_of(&queue), "m");
	const char *id = id_of(&queue, STREAM_FRESH, "1");
	expect(RUN(&queue, REDIS_KEEP, "3", id, "9", "some of it"), "OK", 1);
	expect(RUN(&queue, REDIS_KEEP, "3", id, "10", "half of it\nis done"), "OK", 1);
	expect(RUN(&queue, REDIS_KEEP, "3", id, "9", "some of it"), "OK", 1); /* comes late */
	const char *victim = queue.worker;
	queue.worker = submit;
	expect(RUN(&queue, REDIS_KEEP, "3", id, "11", "not mine"), "OK", 0);
	expect(RUN(&queue, REDIS_KILL, victim, "0"), "OK", 1);
	expect(RUN(&queue, REDIS_REAP, "100", "5"), "OK", 1);
	ck_assert_str_eq(meta_of(&queue), "half of it\nis done");
	id = id_of(&queue, STREAM_RETURNED, "1");
	expect(RUN(&queue, REDIS_KEEP, "2", id, "1", "all"), "OK", 1);
	/* Not what was kept elsewhere of an item that it has not any more. */
	expect(RUN(&queue, REDIS_DONE, "succeeded", "2", "1-1"), "OK", 0);
	redisReply *kept = SAY(queue.redis, "HLEN", "weir:{q}:kept");
	ck_assert_int_eq(kept->integer, 1);
	freeReplyObject(kept);
	expect(RUN(&queue, REDIS_DONE, "succeeded", "2", id), "OK", 1);
	redisReply *left = SAY(queue.redis, "EXISTS", "weir:{q}:kept");
	ck_assert_int_eq(left->integer, 0);
	freeReplyObject(left);
	end_queue(&queue);
}

LOOP_TEST(redis_queue_finds_again_what_a_stranger_orphaned)
{
	struct queue queue = begin_queue(1);
	put(&queue, "000");
	ck_assert_str_eq(take(&queue, "2", "0", "0"), "3-1 3-2 ");
	freeReplyObject(SAY(queue.redis, "XGROUP", "DELCONSUMER", "weir:{q}:fresh:0", "w", queue.worker));
	ck_assert_str_eq(take(&queue, "1", "0", "0"), "3-3 ");
	expect(RUN(&queue, REDIS_SWEEP, "3", "-", "100"), "OK", 2);
	ck_assert_str_eq(take(&queue, "9", "0", "0"), "2-1 2-2 ");
	freeReplyObject(SAY(queue.redis, "XGROUP", "DESTROY", "weir:{q}:returned", "w"));
	ck_assert_str_eq(take(&queue, "9", "0", "0"), "2-1 2-2 ");
	end_queue(&queue);
}

/* Looking for orphans costs nothing where there is none, however many are handed out. */
LOOP_TEST(redis_queue_looks_at_no_entry_that_somebody_has)
{
	struct queue queue = begin_queue(1);
	put(&queue, "00000");
	ck_assert_str_eq(take(&queue, "4", "0", "0"), "3-1 3-2 3-3 3-4 ");
	expect(RUN(&queue, REDIS_DONE, "succeeded", "3", id_of(&queue, STREAM_FRESH, "2")), "OK", 1);
	freeReplyObject(SAY(queue.redis, "CONFIG", "RESETSTAT"));
	expect(RUN(&queue, REDIS_SWEEP, "3", "-", "100"), "OK", 0);
	redisReply *stats = SAY(queue.redis, "INFO", "commandstats");
	ck_assert_ptr_nonnull(strstr(stats->str, "cmdstat_xinfo"));
	ck_assert_ptr_null(strstr(stats->str, "cmdstat_xpending"));
	ck_assert_ptr_null(strstr(stats->str, "cmdstat_xrange"));
	freeReplyObject(stats);
	end_queue(&queue);
}
