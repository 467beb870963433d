/* SPDX-License-Identifier: MIT */
/* Task groups. */
#include "unit/death.h"
#include "unit/fibers.h"

#include <signal.h>
#include <string.h>
#include <weir/testing.h>

/* A fiber that sleeps and then returns a code; it notes how its sleep ended. */
struct job {
	weir_nsec duration;
	int result, slept, ended;
};

static int run_job(void *arg)
{
	struct job *self = arg;
	self->slept = UNANSWERED;
	self->slept = weir_sleep(self->duration);
	self->ended++;
	return self->slept ? self->slept : self->result;
}

static struct weir_group *group_with(unsigned flags, size_t limit)
{
	struct weir_group *group;
	struct weir_group_options opts = {.flags = flags, .limit = limit};
	ck_assert_int_eq(weir_group_new(&opts, &group), 0);
	return group;
}

FIBER_TEST(group_wait_lasts_until_the_last_fiber_has_ended)
{
	struct job jobs[3] = {{5, 0}, {50, 7}, {20, 0}};
	struct weir_group *group = new_group();
	weir_nsec start = weir_now();
	for (int i = 0; i < 3; i++)
		spawn(group, run_job, &jobs[i]);
	ck_assert_uint_eq(weir_group_alive(group), 3);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_now(), start + 50);
	ck_assert_uint_eq(weir_group_alive(group), 0);
	ck_assert_uint_eq(weir_group_failures(group), 0);
	ck_assert_int_eq(weir_group_wait(group, WEIR_TRY), 0);
	weir_group_free(group);
	weir_group_free(NULL);
}

FIBER_TEST(group_wait_has_a_deadline_and_the_fibers_go_on)
{
	struct job job = {50, 0};
	struct weir_group *group = new_group();
	spawn(group, run_job, &job);
	ck_assert_int_eq(weir_group_wait(group, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(weir_group_wait(group, weir_after(20)), WEIR_ETIMEDOUT);
	ck_assert_int_eq(job.ended, 0);
	ck_assert_int_eq(weir_group_wait(group, weir_after(31)), 0);
	ck_assert_int_eq(job.slept, 0);
	weir_group_free(group);
}

FIBER_TEST(group_first_failure_cancels_the_siblings)
{
	struct job jobs[4] = {{100, 0}, {10, -7}, {20, -8}, {100, 0}};
	struct weir_group *group = new_group();
	weir_nsec start = weir_now();
	for (int i = 0; i < 4; i++)
		spawn(group, run_job, &jobs[i]);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), -7);
	ck_assert_int_eq(weir_now(), start + 10);
	ck_assert_int_eq(jobs[0].slept, WEIR_ECANCELED);
	ck_assert_int_eq(jobs[2].slept, WEIR_ECANCELED);
	ck_assert_uint_eq(weir_group_failures(group), 1);
	weir_group_free(group);
}

FIBER_TEST(group_that_collects_cancels_nobody)
{
	struct job jobs[4] = {{100, 0}, {10, -7}, {20, -8}, {100, 5}};
	struct weir_group *group = group_with(WEIR_GROUP_COLLECT, 0);
	for (int i = 0; i < 4; i++)
		spawn(group, run_job, &jobs[i]);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), -7);
	for (int i = 0; i < 4; i++)
		ck_assert_int_eq(jobs[i].slept, 0);
	ck_assert_uint_eq(weir_group_failures(group), 2);
	weir_group_free(group);
}

FIBER_TEST(group_cancel_reaches_all_also_those_started_later)
{
	struct job before = {100, 0}, unstarted = {100, 0}, after = {100, 0};
	struct weir_group *group = new_group();
	spawn(group, run_job, &before);
	settle();
	spawn(group, run_job, &unstarted);
	weir_group_cancel(group);
	weir_group_cancel(group);
	spawn(group, run_job, &after);
	finish(group);
	ck_assert_int_eq(before.slept, WEIR_ECANCELED);
	ck_assert_int_eq(unstarted.slept, WEIR_ECANCELED);
	ck_assert_int_eq(after.slept, WEIR_ECANCELED);
}

struct waiting {
	struct weir_group *inner;
	int answer;
	weir_nsec answered_at;
};

static int wait_for_inner(void *arg)
{
	struct waiting *self = arg;
	self->answer = UNANSWERED;
	self->answer = weir_group_wait(self->inner, WEIR_FOREVER);
	self->answered_at = weir_now();
	return 0;
}

static int take_long_to_end(void *arg)
{
	struct job *self = arg;
	self->slept = weir_sleep(WEIR_SEC);
	weir_shield_enter();
	weir_sleep(30);
	weir_shield_leave();
	self->ended++;
	return 0;
}

FIBER_TEST(group_wait_that_is_cancelled_cancels_and_still_waits)
{
	struct job slow = {0};
	struct waiting waiting = {.inner = new_group()};
	struct weir_group *outer = new_group();
	spawn(waiting.inner, take_long_to_end, &slow);
	spawn(outer, wait_for_inner, &waiting);
	weir_sleep(5);
	weir_nsec canceled_at = weir_now();
	weir_group_cancel(outer);
	finish(outer);
	ck_assert_int_eq(waiting.answer, WEIR_ECANCELED);
	ck_assert_int_eq(waiting.answered_at, canceled_at + 30);
	ck_assert_int_eq(slow.slept, WEIR_ECANCELED);
	ck_assert_int_eq(slow.ended, 1);
	weir_group_free(waiting.inner);
}

FIBER_TEST(group_wait_of_several_fibers)
{
	struct job job = {40, 0};
	struct waiting waits[5];
	struct weir_group *inner = new_group(), *outer = new_group();
	spawn(inner, run_job, &job);
	for (int i = 0; i < 5; i++) {
		waits[i].inner = inner;
		spawn(outer, wait_for_inner, &waits[i]);
	}
	finish(outer);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(waits[i].answer, 0);
	weir_group_free(inner);
}

/* The group ends, its waiter is woken; before it runs it is cancelled, and the group has a fiber again. */
FIBER_TEST(group_wait_that_was_woken_does_not_miss_its_cancel)
{
	struct job first = {10, 0}, second = {WEIR_SEC, 0};
	struct waiting waiting = {.inner = new_group()};
	struct weir_group *outer = new_group();
	weir_nsec start = weir_now();
	spawn(waiting.inner, run_job, &first);
	spawn(outer, wait_for_inner, &waiting);
	settle();
	weir_sleep_until(start + 10);
	while (weir_group_alive(waiting.inner))
		weir_yield();
	spawn(waiting.inner, run_job, &second);
	weir_group_cancel(outer);
	finish(outer);
	ck_assert_int_eq(weir_now(), start + 10);
	ck_assert(waiting.answer == 0 || waiting.answer == WEIR_ECANCELED);
	if (waiting.answer == 0) /* it had run before us */
		weir_group_cancel(waiting.inner);
	finish(waiting.inner);
}

/* ---- results and failures */

static void spawn_noting(struct weir_group *group, const char *name, struct job *job, int *ret_result)
{
	struct weir_spawn_options opts = {.name = name, .ret_result = ret_result};
	ck_assert_int_eq(weir_group_spawn_with(group, &opts, run_job, job, WEIR_FOREVER), 0);
}

FIBER_TEST(group_gives_the_result_of_each_fiber)
{
	struct job jobs[4] = {{30, 7}, {10, 0}, {20, -8}, {40, -9}};
	int results[4] = {UNANSWERED, UNANSWERED, UNANSWERED, UNANSWERED};
	struct weir_group *group = group_with(WEIR_GROUP_COLLECT, 0);
	for (int i = 0; i < 4; i++)
		spawn_noting(group, NULL, &jobs[i], &results[i]);
	weir_sleep(25);
	ck_assert_int_eq(results[0], UNANSWERED);
	ck_assert_int_eq(results[1], 0);
	ck_assert_int_eq(results[2], -8);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), -8);
	ck_assert_int_eq(results[0], 7);
	ck_assert_int_eq(results[3], -9);
	weir_group_free(group);
}

FIBER_TEST(group_result_of_a_cancelled_fiber_is_its_own)
{
	struct job slow = {WEIR_SEC, 0}, failing = {10, -7};
	int result = UNANSWERED;
	struct weir_group *group = new_group();
	spawn_noting(group, "slow", &slow, &result);
	spawn(group, run_job, &failing);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), -7);
	ck_assert_int_eq(result, WEIR_ECANCELED);
	weir_group_free(group);
}

FIBER_TEST(group_errors_are_kept_in_their_order)
{
	static char long_name[64] = "a name that is longer than what an error has room for";
	struct weir_group_error errors[4];
	struct job jobs[4] = {{30, -3}, {10, -1}, {20, 0}, {40, -4}};
	const char *names[4] = {"third", NULL, "fine", long_name};
	struct weir_group *group = group_with(WEIR_GROUP_COLLECT, 0);
	weir_nsec start = weir_now();
	ck_assert_uint_eq(weir_group_errors(group, NULL, 0), 0);
	for (int i = 0; i < 4; i++)
		spawn_noting(group, names[i], &jobs[i], NULL);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), -1);
	ck_assert_uint_eq(weir_group_errors(group, NULL, 0), 3);
	ck_assert_uint_eq(weir_group_errors(group, errors, 4), 3);
	ck_assert_int_eq(errors[0].code, -1);
	ck_assert_str_eq(errors[0].name, "");
	ck_assert_int_eq(errors[0].at, start + 10);
	ck_assert_int_eq(errors[1].code, -3);
	ck_assert_str_eq(errors[1].name, "third");
	ck_assert_int_eq(errors[1].at, start + 30);
	ck_assert_int_eq(errors[2].code, -4);
	ck_assert_uint_eq(strlen(errors[2].name), sizeof errors[2].name - 1);
	ck_assert_int_eq(strncmp(errors[2].name, long_name, sizeof errors[2].name - 1), 0);
	weir_group_free(group);
}

FIBER_TEST(group_errors_beyond_the_bound_are_counted)
{
	enum { JOBS = 200 };
	static const size_t bounds[] = {0, 1, 5, 200, 1000}, kept[] = {32, 1, 5, 200, 200};
	struct weir_group_error errors[JOBS];
	for (size_t i = 0; i < sizeof bounds / sizeof bounds[0]; i++) {
		struct weir_group_options opts = {.flags = WEIR_GROUP_COLLECT, .errors_most = bounds[i]};
		struct weir_group *group;
		struct job jobs[JOBS];
		ck_assert_int_eq(weir_group_new(&opts, &group), 0);
		for (int k = 0; k < JOBS; k++) {
			jobs[k] = (struct job){JOBS - k, -k - 1};
			spawn(group, run_job, &jobs[k]);
		}
		ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), -JOBS);
		ck_assert_uint_eq(weir_group_failures(group), JOBS);
		ck_assert_uint_eq(weir_group_errors(group, errors, JOBS), kept[i]);
		for (size_t k = 0; k < kept[i]; k++)
			ck_assert_int_eq(errors[k].code, (int)k - JOBS);
		weir_group_free(group);
	}
}

/* ---- the limit */

static int running, most_running;

static int run_counted(void *arg)
{
	struct job *self = arg;
	if (++running > most_running)
		most_running = running;
	weir_sleep(self->duration);
	running--;
	return 0;
}

FIBER_TEST(group_limit_blocks_the_spawn)
{
	enum { JOBS = 60, LIMIT = 7 };
	struct job job = {10, 0};
	struct weir_run_stats stats;
	struct weir_group *group = group_with(0, LIMIT);
	running = most_running = 0;
	for (int i = 0; i < JOBS; i++) {
		ck_assert_uint_le(weir_group_alive(group), LIMIT);
		spawn(group, run_counted, &job);
		weir_run_stats(&stats);
		ck_assert_uint_le(stats.fibers, LIMIT + 1);
	}
	finish(group);
	ck_assert_int_eq(most_running, LIMIT);
}

FIBER_TEST(group_spawn_over_the_limit_has_a_deadline)
{
	struct job job = {100, 0}, never = {0};
	struct weir_group *group = group_with(0, 1);
	spawn(group, run_job, &job);
	ck_assert_int_eq(weir_group_spawn(group, run_job, &never, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(weir_group_spawn(group, run_job, &never, weir_after(50)), WEIR_ETIMEDOUT);
	finish(group);
	ck_assert_int_eq(never.ended, 0);
}

struct spawner {
	struct weir_group *group;
	struct job job;
	int started, answer;
	int *counter;
};

static int note_start(void *arg)
{
	struct spawner *self = arg;
	self->started = ++*self->counter;
	return run_job(&self->job);
}

static int spawn_one(void *arg)
{
	struct spawner *self = arg;
	self->answer = weir_group_spawn(self->group, note_start, self, WEIR_FOREVER);
	return 0;
}

FIBER_TEST(group_spawns_over_the_limit_are_first_in_first_out)
{
	enum { SPAWNERS = 20 };
	struct spawner spawners[SPAWNERS];
	struct weir_group *group = group_with(0, 1), *outer = new_group();
	struct job first = {10, 0};
	int counter = 0;
	spawn(group, run_job, &first);
	for (int i = 0; i < SPAWNERS; i++) {
		spawners[i] = (struct spawner){.group = group, .job = {3, 0}, .counter = &counter};
		spawn(outer, spawn_one, &spawners[i]);
		settle();
	}
	finish(outer);
	finish(group);
	for (int i = 0; i < SPAWNERS; i++)
		ck_assert_int_eq(spawners[i].started, i + 1);
}

FIBER_TEST(group_spawn_that_is_cancelled_starts_nothing)
{
	struct job job = {100, 0};
	struct weir_group *group = group_with(0, 1), *canceled = new_group(), *outer = new_group();
	int counter = 0;
	struct spawner gone = {.group = group, .counter = &counter}, next = {.group = group, .counter = &counter};
	spawn(group, run_job, &job);
	spawn(canceled, spawn_one, &gone);
	settle();
	spawn(outer, spawn_one, &next);
	settle();
	weir_group_cancel(canceled);
	finish(canceled);
	finish(outer);
	finish(group);
	ck_assert_int_eq(gone.answer, WEIR_ECANCELED);
	ck_assert_int_eq(gone.started, 0);
	ck_assert_int_eq(next.started, 1);
}

/* A fiber ends and its place goes to a spawn that waits: until that has run nobody is alive, and yet the group is not
 * done. */
FIBER_TEST(group_wait_sees_a_spawn_that_has_its_place_already)
{
	for (int i = 0; i < 20; i++) {
		int counter = 0;
		struct job first = {10, 0};
		struct weir_group *group = group_with(0, 1), *outer = new_group();
		struct spawner spawner = {.group = group, .job = {10, 0}, .counter = &counter};
		spawn(group, run_job, &first);
		spawn(outer, spawn_one, &spawner);
		settle();
		ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
		ck_assert_int_eq(spawner.job.ended, 1);
		weir_group_free(group);
		finish(outer);
	}
}

FIBER_TEST(group_cancelled_at_its_limit_lets_its_spawners_through)
{
	struct job job = {WEIR_SEC, 0};
	struct spawner spawners[3];
	struct weir_group *group = group_with(0, 1), *outer = new_group();
	weir_nsec start = weir_now();
	int counter = 0;
	spawn(group, run_job, &job);
	for (int i = 0; i < 3; i++) {
		spawners[i] = (struct spawner){.group = group, .job = {WEIR_SEC, 0}, .counter = &counter};
		spawn(outer, spawn_one, &spawners[i]);
	}
	settle();
	weir_group_cancel(group);
	finish(outer);
	finish(group);
	ck_assert_int_eq(weir_now(), start);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(spawners[i].job.slept, WEIR_ECANCELED);
}

/* ---- contracts */

static int free_alive(void *arg)
{
	static struct job job = {10, 0};
	(void)arg;
	struct weir_group *group = new_group();
	spawn(group, run_job, &job);
	breaks(weir_group_free(group));
	return 0;
}

static void free_while_alive(void)
{
	weir_run(NULL, free_alive, NULL);
}

static int wait_for_group(void *arg)
{
	return weir_group_wait(arg, WEIR_FOREVER);
}

static int wait_and_free(void *arg)
{
	int code = weir_group_wait(arg, WEIR_FOREVER);
	breaks(weir_group_free(arg));
	return code;
}

/* Two wait; the one that runs first frees what the other will look at. */
static int free_before_the_woken_ran(void *arg)
{
	(void)arg;
	static struct job job = {50, 0};
	static struct weir_group *volatile group;
	struct weir_group *waiting = new_group();
	group = new_group();
	spawn(group, run_job, &job);
	spawn(waiting, wait_and_free, group);
	spawn(waiting, wait_for_group, group);
	return weir_group_wait(waiting, WEIR_FOREVER);
}

static void run_free_before_the_woken_ran(void)
{
	run_virtual(0, free_before_the_woken_ran, NULL);
}

TEST(group_freed_while_its_fibers_live_is_a_broken_contract)
{
	assert_breaks(free_while_alive, "weir_group_free: fibers of the group have not ended");
	assert_breaks(run_free_before_the_woken_ran,
		      "weir_group_free: a fiber waits on it, or was woken and has not run since");
}

/* ---- a whole group in one call */

static int count_and_sleep(void *arg)
{
	++*(int *)arg;
	return weir_sleep(30);
}

FIBER_TEST(group_run_starts_each_part_as_often_as_it_says_and_waits_for_all)
{
	int once = 0, thrice = 0;
	struct job job = {50, 7};
	struct weir_group_part parts[] = {
		{count_and_sleep, &once}, {count_and_sleep, &thrice, .fibers = 3}, {run_job, &job, .fibers = 1}};
	weir_nsec start = weir_now();
	ck_assert_int_eq(weir_group_run(parts, 3, weir_after(WEIR_SEC)), 0);
	ck_assert_int_eq(weir_now(), start + 50);
	ck_assert_int_eq(once, 1);
	ck_assert_int_eq(thrice, 3);
	ck_assert_int_eq(job.ended, 1);
	ck_assert_int_eq(weir_group_run(NULL, 0, WEIR_FOREVER), 0);
}

FIBER_TEST(group_run_returns_the_first_failure_after_all_have_ended)
{
	struct job jobs[] = {{100, 0}, {10, -7}, {20, -8}};
	struct weir_group_part parts[] = {{run_job, &jobs[0]}, {run_job, &jobs[1]}, {run_job, &jobs[2]}};
	weir_nsec start = weir_now();
	ck_assert_int_eq(weir_group_run(parts, 3, WEIR_FOREVER), -7);
	ck_assert_int_eq(weir_now(), start + 10);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(jobs[i].ended, 1);
	ck_assert_int_eq(jobs[0].slept, WEIR_ECANCELED);
}

/* Its clean-up takes longer than the deadline allows. */
static int clean_up_slowly(void *arg)
{
	int *cleaned = arg;
	int code = weir_sleep(100);
	weir_shield_enter();
	weir_sleep(50);
	weir_shield_leave();
	++*cleaned;
	return code;
}

FIBER_TEST(group_run_at_its_deadline_cancels_all_and_waits_for_their_end)
{
	int cleaned = 0;
	struct weir_group_part parts[] = {{clean_up_slowly, &cleaned, .fibers = 4}};
	weir_nsec start = weir_now();
	ck_assert_int_eq(weir_group_run(parts, 1, weir_after(20)), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_now(), start + 70);
	ck_assert_int_eq(cleaned, 4);
	struct weir_deadline scope;
	weir_deadline_enter(&scope, weir_after(20));
	ck_assert_int_eq(weir_group_run(parts, 1, WEIR_FOREVER), WEIR_ETIMEDOUT);
	weir_deadline_leave(&scope);
	ck_assert_int_eq(cleaned, 8);
}

struct whole {
	struct weir_group_part part;
	int answer;
};

static int run_whole(void *arg)
{
	struct whole *self = arg;
	self->answer = weir_group_run(&self->part, 1, WEIR_FOREVER);
	return 0;
}

FIBER_TEST(group_run_by_a_fiber_that_is_cancelled_leaves_no_fiber)
{
	int cleaned = 0;
	struct whole whole = {.part = {clean_up_slowly, &cleaned, .fibers = 2}};
	struct weir_group *group = new_group();
	spawn(group, run_whole, &whole);
	settle();
	weir_group_cancel(group);
	finish(group);
	ck_assert_int_eq(whole.answer, WEIR_ECANCELED);
	ck_assert_int_eq(cleaned, 2);
}

FIBER_TEST(group_run_that_may_not_wait_starts_nothing)
{
	int count = 0;
	struct weir_group_part part = {count_and_sleep, &count};
	weir_sleep(10);
	ck_assert_int_eq(weir_group_run(&part, 1, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(weir_group_run(&part, 1, weir_now()), WEIR_ETIMEDOUT);
	settle();
	ck_assert_int_eq(count, 0);
}

FIBER_TEST(group_run_that_cannot_start_a_fiber_ends_those_it_has)
{
	int ended = 0;
	struct weir_group_part part = {clean_up_slowly, &ended, .fibers = 5};
	weir_testing_fail(WEIR_TESTING_SPAWN, 4, WEIR_ENOMEM);
	ck_assert_int_eq(weir_group_run(&part, 1, WEIR_FOREVER), WEIR_ENOMEM);
	ck_assert(weir_testing_failed(WEIR_TESTING_SPAWN));
	ck_assert_int_eq(ended, 3);
}

FIBER_TEST(group_background_fibers_end_when_the_others_have)
{
	struct job job = {50, 0}, watcher = {WEIR_SEC, 0}, second = {WEIR_SEC, 0};
	struct weir_group_part parts[] = {
		{run_job, &job}, {run_job, &watcher, .background = true}, {run_job, &second, .background = true}};
	weir_nsec start = weir_now();
	ck_assert_int_eq(weir_group_run(parts, 3, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_now(), start + 50);
	ck_assert_int_eq(job.slept, 0);
	ck_assert_int_eq(watcher.slept, WEIR_ECANCELED);
	ck_assert_int_eq(second.slept, WEIR_ECANCELED);
	ck_assert_int_eq(weir_group_run(&parts[1], 1, WEIR_FOREVER), 0); /* alone: at once */
}

FIBER_TEST(group_background_fiber_that_fails_ends_the_others)
{
	struct job job = {WEIR_SEC, 0}, watcher = {50, -7};
	struct weir_group_part parts[] = {{run_job, &job}, {run_job, &watcher, .background = true}};
	ck_assert_int_eq(weir_group_run(parts, 2, WEIR_FOREVER), -7);
	ck_assert_int_eq(job.slept, WEIR_ECANCELED);
}
