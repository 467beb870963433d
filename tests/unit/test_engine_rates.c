/* SPDX-License-Identifier: MIT */
/*
 * A rate over restarts: runs that are killed at any moment and started again, on the virtual clock, against a log of
 * their calls.  A kill leaves the file as it is on the disk; what the run does afterwards, since it is not really
 * killed here, is forgotten.
 */
#include "unit/engine_world.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/random.h>

enum { CALLS_MOST = 40000 };

static weir_nsec calls[CALLS_MOST];
static int call_count;
static char path[300], left[8192]; /* the file, and what it held at the kill */
static ssize_t left_bytes;

static enum step_verdict note_call(struct step_call *call, int number)
{
	(void)number;
	if (call_count < CALLS_MOST)
		calls[call_count++] = weir_now();
	put_out(call, call->input->data);
	return STEP_OK;
}

static int calls_at_kill;

static void kill_it(struct engine *engine)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	left_bytes = fd < 0 ? 0 : read(fd, left, sizeof left);
	if (fd >= 0)
		close(fd);
	calls_at_kill = call_count;
	engine_stop(engine, "the test says so");
}

static void put_back(void)
{
	call_count = calls_at_kill;
	int fd = open(path, O_WRONLY | O_TRUNC | O_CREAT | O_CLOEXEC, 0600);
	ck_assert_int_eq(write(fd, left, (size_t)left_bytes), left_bytes);
	close(fd);
}

struct setting {
	uint64_t count;
	weir_nsec period;
	uint64_t burst;
};

/* In any window of length w from one call to another at most burst + (w + 10 ms) * rate. */
static void check_log(const struct setting *setting)
{
	for (int from = 0; from < call_count; from++)
		for (int to = from; to < call_count && to < from + 2000; to++) {
			double w = (double)(calls[to] - calls[from] + 10 * WEIR_MSEC);
			double most = (double)setting->burst + w * (double)setting->count / (double)setting->period;
			quick_assert(to - from + 1 <= most + 1e-6);
		}
}

static void run_for(const struct setting *setting, const char *folder, weir_nsec length, bool killed)
{
	struct plan_adapter step;
	struct engine_stats stats;
	struct plan plan = memory_plan_of(&step);
	plan.settings.rate = (struct key_rate){.count = setting->count, .period = setting->period};
	plan.settings.burst = (int64_t)setting->burst;
	world = (struct world){.items = 4000, .step = note_call, .state = folder};
	world.meanwhile = killed ? kill_it : NULL;
	run_plan(&plan, length, &stats);
	if (killed)
		put_back();
}

static const struct setting settings[] = {
	{5, 10 * WEIR_SEC, 5}, {1, WEIR_SEC, 1}, {100, WEIR_SEC, 1}, {20, WEIR_SEC, 200}, {3, 60 * WEIR_SEC, 2},
};

static const char *new_folder(void)
{
	static int number;
	const char *folder = test_format("%s/%d", test_folder(), number++);
	ck_assert_int_eq(mkdir(folder, 0700), 0);
	snprintf(path, sizeof path, "%s/upstreams.json", folder);
	call_count = 0;
	return folder;
}

FIBER_TEST(rate_holds_over_kills_at_any_moment)
{
	uint64_t random = test_seed();
	enum { SETTINGS = sizeof settings / sizeof settings[0] };
	for (size_t i = test_seed() % 3; i < SETTINGS; i += 3) {
		const struct setting *setting = &settings[i];
		weir_nsec each = setting->period / (weir_nsec)setting->count;
		const char *folder = new_folder();
		for (int run = 0; run < 12; run++) {
			weir_nsec length =
				1 + (weir_nsec)weir_random_below(&random, (uint64_t)(6 * each + WEIR_SEC / 2));
			run_for(setting, folder, length, weir_random_below(&random, 4) > 0);
			if (weir_random_below(&random, 3) == 0)
				weir_sleep((weir_nsec)weir_random_below(&random, (uint64_t)(4 * each)));
		}
		ck_assert_int_gt(call_count, 10);
		check_log(setting);
	}
}

/* Of a run that is killed the next one lacks what was granted and not used: a quarter of the burst, two seconds. */
FIBER_TEST(rate_is_not_much_less_after_a_kill)
{
	static const struct setting fast = {100, WEIR_SEC, 1}, bursts = {1, WEIR_SEC, 100};
	const char *folder = new_folder();
	run_for(&fast, folder, 5 * WEIR_SEC, true);
	int before = call_count;
	ck_assert_int_ge(before, 490);
	run_for(&fast, folder, 5 * WEIR_SEC, false);
	ck_assert_int_ge(call_count - before, 280);

	folder = new_folder();
	run_for(&bursts, folder, 100 * WEIR_MSEC, true);
	ck_assert_int_eq(call_count, 100);
	weir_sleep(50 * WEIR_SEC);
	run_for(&bursts, folder, 100 * WEIR_MSEC, true);
	ck_assert_int_ge(call_count, 120);
	ck_assert_int_le(call_count, 151);
}

FIBER_TEST(rate_goes_on_exactly_where_a_run_has_ended)
{
	static const struct setting slow = {1, WEIR_SEC, 10};
	const char *folder = new_folder();
	for (int run = 0; run < 10; run++)
		run_for(&slow, folder, 2300 * WEIR_MSEC, false);
	ck_assert_int_ge(call_count, 10 + 21);
	ck_assert_int_le(call_count, 10 + 23);
	check_log(&slow);
}

FIBER_TEST(rate_never_waits_for_the_disk_while_calls_are_made)
{
	static const struct setting fast = {200, WEIR_SEC, 1};
	run_for(&fast, new_folder(), 10 * WEIR_SEC, false);
	ck_assert_int_ge(call_count, 1995);
	for (int i = 1; i < call_count; i++)
		quick_assert(calls[i] - calls[i - 1] <= 6 * WEIR_MSEC);
}

static void set_other_rate(struct engine *engine)
{
	const struct engine_changes faster = {.has_rate = true, .rate = {.count = 50, .period = WEIR_SEC}};
	ck_assert_int_eq(engine_change(engine, &faster, NULL), 0);
	weir_sleep(2 * WEIR_SEC);
	engine_stop(engine, "the test says so");
}

FIBER_TEST(rate_that_is_set_later_is_granted_too)
{
	struct plan_adapter step;
	struct engine_stats stats;
	struct plan plan = memory_plan_of(&step);
	plan.settings.rate = (struct key_rate){.count = 1, .period = 3600 * WEIR_SEC};
	plan.settings.burst = 1;
	world = (struct world){.items = 4000, .step = note_call, .state = new_folder(), .meanwhile = set_other_rate};
	run_plan(&plan, WEIR_SEC, &stats);
	ck_assert_int_ge(call_count, 95);
	ck_assert_int_le(call_count, 105);
}
