/* SPDX-License-Identifier: MIT */
/* Looking at fibers: each state, each thing to wait on, each depth of stack. */
#include "unit/fibers.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>
#include <weir/event.h>
#include <weir/inspect.h>
#include <weir/io.h>
#include <weir/offload.h>
#include <weir/queue.h>
#include <weir/sem.h>

struct search {
	const char *name;
	struct weir_fiber_info found;
	int times;
};

static int match(const struct weir_fiber_info *info, void *arg)
{
	struct search *search = arg;
	if (info->name && !strcmp(info->name, search->name)) {
		search->found = *info;
		search->times++;
	}
	return 0;
}

/* The one fiber of that name. */
static struct weir_fiber_info look(const char *name, unsigned flags)
{
	struct search search = {.name = name};
	ck_assert_int_eq(weir_inspect_fibers(flags, match, &search), 0);
	ck_assert_msg(search.times == 1, "%d fibers %s", search.times, name);
	return search.found;
}

static void spawn_named(struct weir_group *group, const char *name, weir_fiber_fn fn, void *arg)
{
	struct weir_spawn_options opts = {.name = name};
	ck_assert_int_eq(weir_group_spawn_with(group, &opts, fn, arg, WEIR_FOREVER), 0);
}

static int sleep_on(void *arg)
{
	weir_sleep(*(weir_nsec *)arg);
	return 0;
}

FIBER_TEST(inspect_shows_the_states_of_a_fiber)
{
	weir_nsec duration = 100;
	struct weir_group *group = new_group();
	struct weir_fiber_info info = look("main", 0);
	ck_assert_int_eq(info.state, WEIR_FIBER_RUNNING);
	ck_assert_ptr_null(info.waits_on);
	spawn_named(group, "sleeper", sleep_on, &duration);
	info = look("sleeper", WEIR_INSPECT_STACKS);
	ck_assert_int_eq(info.state, WEIR_FIBER_NEW);
	ck_assert_uint_eq(info.stack_bytes, 0);
	settle();
	weir_nsec began = weir_now();
	weir_sleep(30);
	info = look("sleeper", 0);
	ck_assert_int_eq(info.state, WEIR_FIBER_WAITING);
	ck_assert_str_eq(info.waits_on, "sleep");
	ck_assert_int_eq(info.since, began);
	ck_assert_int_eq(info.until, began + 100);
	ck_assert(!info.canceled);
	ck_assert_uint_eq(info.stack_bytes, 0); /* not asked for */
	weir_group_cancel(group);
	info = look("sleeper", 0);
	ck_assert_int_eq(info.state, WEIR_FIBER_READY);
	ck_assert_ptr_null(info.waits_on);
	ck_assert(info.canceled);
	finish(group);
	struct search gone = {.name = "sleeper"};
	weir_inspect_fibers(0, match, &gone);
	ck_assert_int_eq(gone.times, 0);
}

/* ---- what fibers wait on */

static struct {
	struct weir_queue *full, *empty;
	struct weir_sem *sem;
	struct weir_event *event;
	struct weir_group *busy;
} things;

static uint64_t item;

static int put_full(void *arg)
{
	(void)arg;
	return weir_queue_put(things.full, &item, WEIR_FOREVER);
}

static int get_empty(void *arg)
{
	(void)arg;
	return weir_queue_get(things.empty, &item, WEIR_FOREVER);
}

static int join_full(void *arg)
{
	(void)arg;
	return weir_queue_join(things.full, WEIR_FOREVER);
}

static int acquire(void *arg)
{
	(void)arg;
	return weir_sem_acquire(things.sem, 1, WEIR_FOREVER);
}

static int wait_for_event(void *arg)
{
	(void)arg;
	return weir_event_wait(things.event, WEIR_FOREVER);
}

static int spawn_into_busy(void *arg)
{
	return weir_group_spawn(things.busy, sleep_on, arg, WEIR_FOREVER);
}

static int wait_for_busy(void *arg)
{
	(void)arg;
	return weir_group_wait(things.busy, WEIR_FOREVER);
}

static void make_things(void)
{
	struct weir_group_options one = {.limit = 1};
	ck_assert_int_eq(weir_queue_new(sizeof item, 1, &things.full), 0);
	ck_assert_int_eq(weir_queue_new(sizeof item, 1, &things.empty), 0);
	ck_assert_int_eq(weir_sem_new(0, &things.sem), 0);
	ck_assert_int_eq(weir_event_new(&things.event), 0);
	ck_assert_int_eq(weir_group_new(&one, &things.busy), 0);
	ck_assert_int_eq(weir_queue_put(things.full, &item, WEIR_FOREVER), 0);
}

static void free_things(void)
{
	weir_queue_free(things.full);
	weir_queue_free(things.empty);
	weir_sem_free(things.sem);
	weir_event_free(things.event);
	finish(things.busy);
}

FIBER_TEST(inspect_tells_what_a_fiber_waits_on)
{
	static const struct {
		const char *waits_on;
		weir_fiber_fn fn;
	} waits[] = {
		{"queue put", put_full},       {"queue get", get_empty},  {"queue join", join_full},
		{"semaphore", acquire},        {"event", wait_for_event}, {"group spawn", spawn_into_busy},
		{"group wait", wait_for_busy},
	};
	static weir_nsec hour = 3600 * WEIR_SEC;
	struct weir_group *group = new_group();
	make_things();
	spawn(things.busy, sleep_on, &hour);
	for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++)
		spawn_named(group, waits[i].waits_on, waits[i].fn, &hour);
	settle();
	for (size_t i = 0; i < sizeof waits / sizeof waits[0]; i++) {
		struct weir_fiber_info info = look(waits[i].waits_on, 0);
		ck_assert_int_eq(info.state, WEIR_FIBER_WAITING);
		ck_assert_str_eq(info.waits_on, waits[i].waits_on);
		ck_assert_int_eq(info.until, WEIR_FOREVER);
	}
	weir_group_cancel(things.busy);
	weir_group_cancel(group);
	finish(group);
	free_things();
}

static int read_some(void *arg)
{
	char c;
	return (int)weir_io_read(arg, &c, 1, WEIR_FOREVER);
}

static int read_in_thread(void *arg)
{
	char c;
	return (int)read(*(int *)arg, &c, 1);
}

static int offload_read(void *arg)
{
	return weir_offload(read_in_thread, arg, WEIR_FOREVER);
}

LOOP_TEST(inspect_tells_of_waits_on_the_outside)
{
	int watched[2], blocking[2];
	struct weir_io *io;
	struct weir_group *group = new_group();
	ck_assert_int_eq(pipe2(watched, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_eq(pipe2(blocking, O_CLOEXEC), 0);
	ck_assert_int_eq(weir_io_open(watched[0], &io), 0);
	spawn_named(group, "reader", read_some, io);
	spawn_named(group, "thread", offload_read, &blocking[0]);
	weir_yield();
	ck_assert_str_eq(look("reader", 0).waits_on, "io");
	ck_assert_str_eq(look("thread", 0).waits_on, "offload");
	ck_assert_int_eq(write(watched[1], "x", 1), 1);
	ck_assert_int_eq(write(blocking[1], "x", 1), 1);
	finish(group);
	weir_io_close(io);
	for (int i = 0; i < 2; i++) {
		close(watched[i]);
		close(blocking[i]);
	}
}

/* ---- stacks */

/* Each frame is still needed when the next one has returned, or a compiler would make a loop of it. */
static __attribute__((noinline)) int touch(size_t bytes, const volatile char *above)
{
	volatile char block[16 * 1024];
	for (size_t i = 0; i < sizeof block; i += 512)
		block[i] = (char)bytes;
	int below = bytes > sizeof block ? touch(bytes - sizeof block, block) : 0;
	return below + block[512] + (above ? above[512] : 0);
}

static int go_deep_and_sleep(void *arg)
{
	size_t bytes = *(size_t *)arg;
	if (bytes)
		touch(bytes, NULL);
	weir_sleep(WEIR_SEC);
	return 0;
}

FIBER_TEST(inspect_measures_how_deep_a_stack_went)
{
	enum { KIB = 1024, MUCH = 200 * KIB };
	size_t none = 0, much = MUCH;
	struct weir_group *group = new_group();
	struct weir_spawn_options large = {.name = "large", .stack_bytes = 4096 * KIB},
				  little = {.name = "little", .stack_bytes = 4096 * KIB};
	ck_assert_int_eq(weir_group_spawn_with(group, &large, go_deep_and_sleep, &much, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_group_spawn_with(group, &little, go_deep_and_sleep, &none, WEIR_FOREVER), 0);
	settle();
	struct weir_fiber_info info = look("large", WEIR_INSPECT_STACKS);
	ck_assert_uint_gt(info.stack_bytes, 4000 * KIB);
	ck_assert_uint_ge(info.stack_most_bytes, MUCH);
	ck_assert_uint_lt(info.stack_most_bytes, SANITIZED ? 3 * MUCH : MUCH + 64 * KIB);
	info = look("little", WEIR_INSPECT_STACKS);
	ck_assert_uint_ge(info.stack_most_bytes, 4 * KIB);
	ck_assert_uint_le(info.stack_most_bytes, 16 * KIB);
	weir_group_cancel(group);
	finish(group);
}

/* ---- many, and the dump */

static int count(const struct weir_fiber_info *info, void *arg)
{
	(void)info;
	return ++*(int *)arg == 700 ? 42 : 0;
}

FIBER_TEST(inspect_sees_every_fiber_once_and_stops_when_told)
{
	static weir_nsec durations[600];
	struct weir_group *group = new_group();
	int seen = 0;
	for (int i = 0; i < 600; i++) {
		durations[i] = i % 3 ? 10 : 1000;
		spawn(group, sleep_on, &durations[i]);
	}
	ck_assert_int_eq(weir_inspect_fibers(0, count, &seen), 0);
	ck_assert_int_eq(seen, 601);
	weir_sleep(500);
	seen = 0;
	ck_assert_int_eq(weir_inspect_fibers(0, count, &seen), 0);
	ck_assert_int_eq(seen, 201);
	seen = 700 - 50;
	ck_assert_int_eq(weir_inspect_fibers(0, count, &seen), 42);
	ck_assert_int_eq(seen, 700);
	finish(group);
}

FIBER_TEST(inspect_dump_is_for_people)
{
	char all[512], cut[512];
	weir_nsec duration = 5 * WEIR_SEC;
	struct weir_group *group = new_group();
	spawn_named(group, "sleeper", sleep_on, &duration);
	settle();
	weir_sleep(1500 * WEIR_MSEC);
	size_t n = weir_inspect_dump(0, all, sizeof all);
	ck_assert_uint_eq(n, strlen(all));
	ck_assert_msg(strstr(all, "main                 running\n"), "%s", all);
	ck_assert_msg(strstr(all, "sleeper              waiting: sleep for 1.500 s, at most 3.500 s more\n"), "%s",
		      all);
	ck_assert_uint_eq(weir_inspect_dump(0, NULL, 0), n);
	for (size_t room = 1; room <= n + 1; room++) {
		memset(cut, '#', sizeof cut);
		ck_assert_uint_eq(weir_inspect_dump(0, cut, room), n);
		size_t got = strlen(cut);
		ck_assert_uint_lt(got, room);
		ck_assert(got == 0 || cut[got - 1] == '\n');
		ck_assert(!strncmp(all, cut, got));
		ck_assert_int_eq(cut[room], '#');
	}
	ck_assert_str_eq(cut, all);
	ck_assert_uint_gt(weir_inspect_dump(WEIR_INSPECT_STACKS, all, sizeof all), n);
	ck_assert_msg(strstr(all, "more, stack "), "%s", all);
	weir_group_cancel(group);
	weir_inspect_dump(0, all, sizeof all);
	ck_assert_msg(strstr(all, "sleeper              ready, cancelled\n"), "%s", all);
	finish(group);
}
