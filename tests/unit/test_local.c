/* SPDX-License-Identifier: MIT */
/* Fiber-local values: inherited, shared, replaced, handed over, and destroyed once. */
#include "unit/death.h"
#include "unit/fibers.h"

#include <stdlib.h>
#include <string.h>
#include <weir/event.h>
#include <weir/local.h>
#include <weir/queue.h>

/* A value that counts how many there are. */
struct counted {
	int number;
};

static int alive;

static struct counted *new_counted(int number)
{
	struct counted *value = malloc(sizeof *value);
	quick_assert(value);
	value->number = number;
	alive++;
	return value;
}

static void destroy_counted(void *value)
{
	alive--;
	free(value);
}

static const struct weir_local_key RED = {"red", destroy_counted}, BLUE = {"blue", destroy_counted};
static const struct weir_local_key PLAIN = {0};

static void set(const struct weir_local_key *key, int number)
{
	ck_assert_int_eq(weir_local_set(key, number ? new_counted(number) : NULL), 0);
}

/* 0: none. */
static int get(const struct weir_local_key *key)
{
	const struct counted *value = weir_local_get(key);
	return value ? value->number : 0;
}

FIBER_TEST(local_values_are_set_replaced_and_removed)
{
	static int object;
	alive = 0;
	ck_assert_int_eq(get(&RED), 0);
	set(&RED, 0);
	set(&RED, 1);
	set(&BLUE, 2);
	ck_assert_int_eq(weir_local_set(&PLAIN, &object), 0);
	set(&RED, 3);
	ck_assert_int_eq(get(&RED), 3);
	ck_assert_int_eq(get(&BLUE), 2);
	ck_assert_ptr_eq(weir_local_get(&PLAIN), &object);
	ck_assert_int_eq(alive, 2);
	set(&RED, 0);
	ck_assert_int_eq(get(&RED), 0);
	ck_assert_int_eq(get(&BLUE), 2);
	ck_assert_ptr_eq(weir_local_get(&PLAIN), &object);
	ck_assert_int_eq(alive, 1);
	set(&BLUE, 0);
	ck_assert_int_eq(alive, 0);
	ck_assert_int_eq(weir_local_set(&PLAIN, NULL), 0);
	ck_assert_ptr_null(weir_local_get(&PLAIN));
}

static int change_what_was_inherited(void *arg)
{
	struct weir_event *go = arg;
	quick_assert(get(&RED) == 1 && get(&BLUE) == 2);
	set(&RED, 10);
	weir_event_wait(go, WEIR_FOREVER);
	quick_assert(get(&RED) == 10 && get(&BLUE) == 2);
	set(&BLUE, 0);
	quick_assert(get(&BLUE) == 0);
	return 0;
}

FIBER_TEST(local_values_are_inherited_and_then_ones_own)
{
	struct weir_event *go;
	struct weir_group *group = new_group();
	alive = 0;
	ck_assert_int_eq(weir_event_new(&go), 0);
	set(&RED, 1);
	set(&BLUE, 2);
	for (int i = 0; i < 5; i++)
		spawn(group, change_what_was_inherited, go);
	set(&RED, 3); /* too late for them */
	settle();
	ck_assert_int_eq(get(&RED), 3);
	ck_assert_int_eq(alive, 2 + 5); /* the first red is gone */
	weir_event_set(go);
	finish(group);
	ck_assert_int_eq(get(&RED), 3);
	ck_assert_int_eq(get(&BLUE), 2);
	ck_assert_int_eq(alive, 2);
	set(&RED, 0);
	set(&BLUE, 0);
	ck_assert_int_eq(alive, 0);
	weir_event_free(go);
}

static int look_at_red(void *arg)
{
	*(int *)arg = get(&RED);
	return 0;
}

FIBER_TEST(local_values_outlive_the_fiber_that_set_them)
{
	int seen = 0;
	struct weir_group *group = new_group();
	alive = 0;
	set(&RED, 7);
	spawn(group, look_at_red, &seen);
	set(&RED, 0);
	ck_assert_int_eq(alive, 1);
	finish(group);
	ck_assert_int_eq(seen, 7);
	ck_assert_int_eq(alive, 0);
}

/* The correlation id of a job: set by the producer, found by the consumer. */
struct job {
	int id;
	struct weir_locals *context;
};

static int produce(void *arg)
{
	struct weir_queue *queue = arg;
	for (int id = 1; id <= 50; id++) {
		set(&RED, id);
		struct job job = {id, weir_local_capture()};
		ck_assert_int_eq(weir_queue_put(queue, &job, WEIR_FOREVER), 0);
	}
	weir_queue_close(queue, 0);
	return 0;
}

static int consume(void *arg)
{
	struct weir_queue *queue = arg;
	struct job job;
	while (!weir_queue_get(queue, &job, WEIR_FOREVER)) {
		weir_local_adopt(job.context);
		weir_local_release(job.context);
		weir_yield();
		quick_assert(get(&RED) == job.id);
		weir_queue_task_done(queue);
	}
	return 0;
}

FIBER_TEST(local_values_go_with_an_item)
{
	struct weir_queue *queue;
	struct weir_group *group = new_group();
	alive = 0;
	ck_assert_int_eq(weir_queue_new(sizeof(struct job), 5, &queue), 0);
	spawn(group, produce, queue);
	for (int i = 0; i < 3; i++)
		spawn(group, consume, queue);
	finish(group);
	ck_assert_int_eq(alive, 0);
	weir_queue_free(queue);
}

FIBER_TEST(local_capture_is_a_moment)
{
	alive = 0;
	ck_assert_ptr_null(weir_local_capture());
	weir_local_release(NULL);
	set(&RED, 1);
	struct weir_locals *one = weir_local_capture();
	set(&RED, 2);
	set(&BLUE, 3);
	struct weir_locals *two = weir_local_capture();
	weir_local_adopt(one);
	ck_assert_int_eq(get(&RED), 1);
	ck_assert_int_eq(get(&BLUE), 0);
	weir_local_adopt(one);
	weir_local_adopt(two);
	ck_assert_int_eq(get(&RED), 2);
	ck_assert_int_eq(get(&BLUE), 3);
	weir_local_adopt(NULL);
	ck_assert_int_eq(get(&RED), 0);
	weir_local_release(two);
	ck_assert_int_eq(alive, 1);
	weir_local_release(one);
	ck_assert_int_eq(alive, 0);
}

/* A fiber that dies with its values, in every way there is. */
static int wait_for_ever(void *arg)
{
	set(&BLUE, 5);
	return weir_event_wait(arg, WEIR_FOREVER);
}

static int abandon(void *arg)
{
	set(&RED, 1);
	struct weir_group *group = new_group();
	for (int i = 0; i < 3; i++)
		spawn(group, wait_for_ever, arg);
	weir_group_wait(group, WEIR_FOREVER);
	return 0;
}

static struct weir_event *never;

static int make_event(void *arg)
{
	(void)arg;
	return weir_event_new(&never);
}

TEST(local_values_of_abandoned_fibers_are_destroyed)
{
	if (SANITIZED || RUNNING_ON_VALGRIND) /* what abandoned fibers hold themselves is lost */
		return;
	alive = 0;
	ck_assert_int_eq(run_virtual(0, make_event, NULL), 0);
	ck_assert_int_eq(run_virtual(0, abandon, never), WEIR_EDEADLOCK);
	ck_assert_int_eq(alive, 0);
}

/* Against a plain model: fibers that set, remove, spawn and hand over at random. */
enum { KEYS = 5, DEPTH = 5 };

static const struct weir_local_key KEY[KEYS] = {
	{"0", destroy_counted}, {"1", destroy_counted}, {"2", destroy_counted},
	{"3", destroy_counted}, {"4", destroy_counted},
};

struct model {
	int numbers[KEYS], depth;
	uint64_t random;
};

static uint64_t next_random(struct model *model)
{
	model->random = model->random * 6364136223846793005u + 1442695040888963407u;
	return model->random >> 33;
}

static int follow_model(void *arg)
{
	struct model model = *(struct model *)arg, copy = {0};
	struct weir_locals *kept = NULL;
	struct weir_group *group = new_group();
	struct model children[3];
	int spawned = 0;
	for (int step = 0; step < 30; step++) {
		size_t at = next_random(&model) % KEYS;
		uint64_t what = next_random(&model) % 10;
		if (what < 5) {
			model.numbers[at] = (int)(next_random(&model) % 4);
			set(&KEY[at], model.numbers[at]);
		} else if (what < 6) {
			weir_local_release(kept);
			kept = weir_local_capture();
			memcpy(copy.numbers, model.numbers, sizeof copy.numbers);
		} else if (what < 7) {
			weir_local_adopt(kept);
			memcpy(model.numbers, copy.numbers, sizeof copy.numbers);
		} else if (what < 8 && model.depth < DEPTH && spawned < 3) {
			children[spawned] = model;
			children[spawned].depth++;
			children[spawned].random += (uint64_t)step;
			spawn(group, follow_model, &children[spawned++]);
		} else {
			weir_yield();
		}
		for (int k = 0; k < KEYS; k++)
			quick_assert(get(&KEY[k]) == model.numbers[k]);
	}
	weir_local_release(kept);
	finish(group);
	return 0;
}

FIBER_TEST(local_values_are_as_a_model_has_them)
{
	struct model model = {.random = test_seed() + 1};
	struct weir_group *group = new_group();
	alive = 0;
	spawn(group, follow_model, &model);
	finish(group);
	ck_assert_int_eq(alive, 0);
}

static void set_on_no_fiber(void)
{
	weir_local_set(&RED, &alive);
}

TEST(local_values_belong_to_fibers)
{
	ck_assert_ptr_null(weir_local_get(&RED));
	ck_assert_ptr_null(weir_local_capture());
	assert_aborts(set_on_no_fiber);
}
