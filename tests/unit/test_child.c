/* SPDX-License-Identifier: MIT */
/* Pools of children: lines, batches, limits.  What becomes of lines whose children die is in test_child_deaths.c. */
#include "unit/children.h"
#include "unit/death.h"

#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

LOOP_TEST(child_answers_lines)
{
	struct weir_child *pool = open_pool((struct weir_child_options){.argv = cat_argv});
	call(pool, "hello", 0, "hello");
	call(pool, "", 0, "");
	close_pool(pool);
}

LOOP_TEST(child_answers_many_callers_each_with_its_own)
{
	enum { N = 5000 };
	struct weir_child *pool = open_pool((struct weir_child_options){.argv = cat_argv, .processes = 3});
	struct job *jobs = calloc(N, sizeof *jobs);
	for (int i = 0; i < N; i++)
		jobs[i].line = test_format("line %d", i);
	run_jobs(pool, jobs, N);
	for (int i = 0; i < N; i++)
		expect(&jobs[i], jobs[i].line);
	struct weir_child_stats stats;
	weir_child_stats(pool, &stats);
	ck_assert_uint_eq(stats.calls, N);
	ck_assert_uint_eq(stats.answers, N);
	ck_assert_uint_eq(stats.deaths + stats.kills + stats.restarts, 0);
	free(jobs);
	close_pool(pool);
}

LOOP_TEST(child_carries_long_lines_both_ways_concurrently)
{
	enum { N = 8, BYTES = 3000000 };
	struct weir_child *pool = open_pool((struct weir_child_options){.argv = cat_argv});
	struct job jobs[N] = {0};
	for (int i = 0; i < N; i++) {
		char *line = malloc(BYTES + 1);
		memset(line, 'a' + i, BYTES);
		line[BYTES] = 0;
		jobs[i].line = line;
	}
	run_jobs(pool, jobs, N);
	for (int i = 0; i < N; i++) {
		expect(&jobs[i], jobs[i].line);
		free((char *)jobs[i].line);
	}
	close_pool(pool);
}

LOOP_TEST(child_refuses_a_line_break_in_a_line)
{
	struct weir_child *pool = open_pool((struct weir_child_options){.argv = cat_argv});
	call(pool, "a\nb", WEIR_EINVAL, NULL);
	call(pool, "b", 0, "b");
	close_pool(pool);
}

LOOP_TEST(child_that_hangs_is_killed_after_its_limit_and_its_line_alone_fails)
{
	struct weir_child *pool =
		open_pool((struct weir_child_options){.time_limit = 200 * WEIR_MSEC, .start_limit = 2 * WEIR_SEC});
	call(pool, "warm up", 0, "warm up");
	struct job jobs[] = {{.line = "1 a"}, {.line = "hang"}, {.line = "3 c"}, {.line = "4 d"}};
	weir_nsec before = weir_clock();
	run_jobs(pool, jobs, 4);
	weir_nsec took = weir_clock() - before;
	ck_assert_int_eq(jobs[1].code, WEIR_ETIMEDOUT);
	expect(&jobs[0], "1 a");
	expect(&jobs[2], "3 c");
	expect(&jobs[3], "4 d");
	ck_assert_msg(took >= 200 * WEIR_MSEC, "%lld ns", (long long)took);
	struct weir_child_stats stats;
	weir_child_stats(pool, &stats);
	ck_assert_uint_eq(stats.kills, 1);
	ck_assert_uint_eq(stats.deaths, 0);
	close_pool(pool);
}

LOOP_TEST(child_limit_counts_from_when_a_line_is_first)
{
	struct weir_child *pool = open_pool((struct weir_child_options){.time_limit = 400 * WEIR_MSEC});
	struct job jobs[] = {{.line = "sleep 0.2"}, {.line = "sleep 0.2"}, {.line = "sleep 0.2"}, {.line = "4 d"}};
	run_jobs(pool, jobs, 4);
	for (int i = 0; i < 3; i++)
		expect(&jobs[i], "slept");
	expect(&jobs[3], "4 d");
	close_pool(pool);
}

LOOP_TEST(child_call_ends_at_its_deadline_and_the_answer_goes_to_no_one_else)
{
	struct weir_child *pool = open_pool((struct weir_child_options){.batch = 2});
	struct job jobs[] = {{.line = "sleep 0.3", .deadline = weir_after(50 * WEIR_MSEC)},
			     {.line = "2 b"},
			     {.line = "3 c", .deadline = weir_after(50 * WEIR_MSEC)},
			     {.line = "4 d"}};
	run_jobs(pool, jobs, 4);
	ck_assert_int_eq(jobs[0].code, WEIR_ETIMEDOUT);
	ck_assert_int_eq(jobs[2].code, WEIR_ETIMEDOUT);
	expect(&jobs[1], "2 b");
	expect(&jobs[3], "4 d");
	char *answer = "untouched";
	size_t n = 7;
	ck_assert_int_eq(weir_child_call(pool, "x", 1, &answer, &n, NULL, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_str_eq(answer, "untouched");
	close_pool(pool);
}

LOOP_TEST(child_call_can_be_cancelled_and_the_pool_goes_on)
{
	struct weir_child *pool = open_pool((struct weir_child_options){.batch = 1});
	struct weir_group *group;
	struct job jobs[] = {{.pool = pool, .line = "hang"}, {.pool = pool, .line = "2 b"}};
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	for (int i = 0; i < 2; i++)
		ck_assert_int_eq(weir_group_spawn(group, run_job, &jobs[i], WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_sleep(20 * WEIR_MSEC), 0);
	weir_group_cancel(group);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
	ck_assert_int_eq(jobs[0].code, WEIR_ECANCELED);
	ck_assert_int_eq(jobs[1].code, WEIR_ECANCELED);
	close_pool(pool); /* with the line `hang` still under way: 1 s, then it is killed */
}

LOOP_TEST(child_program_that_is_not_there_is_an_error_immediately)
{
	static const char *const argv[] = {"/nonexistent/program", NULL};
	struct weir_child *pool = NULL;
	ck_assert_int_eq(weir_child_new(&(struct weir_child_options){.argv = argv, .processes = 4}, &pool), -ENOENT);
	ck_assert_ptr_null(pool);
	ck_assert_int_eq(weir_child_new(&(struct weir_child_options){.argv = argv + 1}, &pool), WEIR_EINVAL);
}

LOOP_TEST(child_gets_three_descriptors_and_only_the_given_environment)
{
	struct weir_child *pool = open_pool((struct weir_child_options){0});
	int extra = dup(STDOUT_FILENO); /* without O_CLOEXEC */
	call(pool, "fds", 0, "4");      /* ls has its folder open */
	close_pool(pool);
	pool = open_pool((struct weir_child_options){0});
	call(pool, "fds", 0, "4");
	close_pool(pool);
	close(extra);
	static const char *const argv[] = {"/usr/bin/env", NULL};
	ck_assert_int_eq(weir_child_new(&(struct weir_child_options){.argv = argv}, &pool), 0);
	call(pool, "x", WEIR_EDIED, NULL); /* no variable, so no line */
	close_pool(pool);
}

LOOP_TEST(child_work_is_spread_over_the_children)
{
	struct weir_child *pool = open_pool((struct weir_child_options){.processes = 4});
	struct job jobs[4] = {0};
	for (int i = 0; i < 4; i++)
		jobs[i].line = "pid";
	run_jobs(pool, jobs, 4);
	for (int i = 0; i < 4; i++)
		for (int k = 0; k < i; k++)
			ck_assert_str_ne(jobs[i].answer, jobs[k].answer);
	for (int i = 0; i < 4; i++)
		free(jobs[i].answer);
	close_pool(pool);
}

/* ---- batches, back-pressure, limits */

LOOP_TEST(child_gets_the_lines_of_a_batch_before_it_has_answered_the_first)
{
	static const char *const argv[] = {
		"/bin/sh", "-c", "while read a && read b && read c; do echo $c; echo $b; echo $a; done", NULL};
	struct weir_child *pool = open_pool((struct weir_child_options){.argv = argv, .batch = 3});
	struct job jobs[] = {{.line = "1"}, {.line = "2"}, {.line = "3"}, {.line = "4"}, {.line = "5"}, {.line = "6"}};
	for (int i = 0; i < 6; i++)
		jobs[i].deadline = weir_after(10 * WEIR_SEC);
	run_jobs(pool, jobs, 6);
	for (int i = 0; i < 6; i++)
		expect(&jobs[i], jobs[i / 3 * 3 + 2 - i % 3].line);
	close_pool(pool);
}

static int make_file(void *arg)
{
	weir_sleep(100 * WEIR_MSEC);
	test_write_file(arg, "");
	return 0;
}

/* The child is busy until the file comes; meanwhile two lines are all it gets, however many callers come and go. */
LOOP_TEST(child_that_is_busy_holds_its_callers_back)
{
	enum { N = 20 };
	struct weir_child *pool = open_pool((struct weir_child_options){.batch = 2});
	struct weir_group *group = new_group();
	struct job jobs[N] = {{.line = test_format("wait %s/go", test_folder())}};
	for (int i = 1; i < N; i++) {
		jobs[i].line = "x";
		jobs[i].deadline = weir_after(20 * WEIR_MSEC);
	}
	spawn(group, make_file, "go");
	run_jobs(pool, jobs, N);
	finish(group);
	expect(&jobs[0], "waited");
	for (int i = 1; i < N; i++)
		ck_assert_int_eq(jobs[i].code, WEIR_ETIMEDOUT);
	struct weir_child_stats stats;
	weir_child_stats(pool, &stats);
	ck_assert_uint_eq(stats.calls, N);
	ck_assert_uint_eq(stats.waited, N - 2);
	call(pool, "count", 0, "3");
	close_pool(pool);
}

LOOP_TEST(child_is_not_given_a_line_whose_deadline_has_passed)
{
	struct weir_child *pool = open_pool((struct weir_child_options){0});
	struct weir_deadline scope;
	char *answer;
	size_t n;
	ck_assert_int_eq(weir_child_call(pool, "x", 1, &answer, &n, NULL, weir_now()), WEIR_ETIMEDOUT);
	weir_deadline_enter(&scope, weir_now());
	ck_assert_int_eq(weir_child_call(pool, "x", 1, &answer, &n, NULL, WEIR_FOREVER), WEIR_ETIMEDOUT);
	weir_deadline_leave(&scope);
	ck_assert_int_eq(weir_child_call(pool, "x", 1, &answer, &n, NULL, WEIR_TRY), WEIR_EAGAIN);
	call(pool, "count", 0, "1");
	close_pool(pool);
}

/* An emulator of another processor takes the limit and does not keep it. */
static bool memory_limits_hold(void)
{
	const struct rlimit limit = {32 << 20, 32 << 20};
	int status = 0;
	pid_t pid = fork();
	if (!pid) {
		setrlimit(RLIMIT_AS, &limit);
		void *much = mmap(NULL, 128 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
		_exit(much == MAP_FAILED);
	}
	return pid > 0 && waitpid(pid, &status, 0) == pid && WIFEXITED(status) && WEXITSTATUS(status) == 1;
}

LOOP_TEST(child_that_wants_more_memory_than_its_limit_dies_of_it)
{
	bool limited = !SANITIZED && memory_limits_hold(); /* under sanitizers there is no limit */
	struct weir_child *pool = open_pool((struct weir_child_options){.memory_bytes = 32 << 20});
	call(pool, "grow", limited ? WEIR_EDIED : 0, "134217728");
	call(pool, "next x", 0, "next x");
	close_pool(pool);
	pool = open_pool((struct weir_child_options){0});
	call(pool, "grow", 0, "134217728");
	close_pool(pool);
}

static const char *const slow_argv[] = {"/bin/sh", "-c", "sleep 0.4; while read -r a; do echo $a; done", NULL};

LOOP_TEST(child_that_starts_slowly_has_a_limit_of_its_own_for_that)
{
	weir_nsec limits[] = {20 * WEIR_SEC, 0};
	for (int i = 0; i < 2; i++) {
		struct weir_child *pool = open_pool((struct weir_child_options){
			.argv = slow_argv, .time_limit = 200 * WEIR_MSEC, .start_limit = limits[i]});
		call(pool, "x", 0, "x");
		close_pool(pool);
	}
}

LOOP_TEST(child_that_starts_too_slowly_is_killed)
{
	struct weir_child *pool =
		open_pool((struct weir_child_options){.argv = slow_argv, .start_limit = 50 * WEIR_MSEC});
	struct weir_child_stats stats;
	call(pool, "x", WEIR_ETIMEDOUT, NULL);
	weir_child_stats(pool, &stats);
	ck_assert_uint_eq(stats.kills, 1);
	close_pool(pool);
}

/* ---- what it is for */

LOOP_TEST(child_processes_work_at_the_same_time)
{
	const char *folder = test_folder();
	struct weir_child *pool = open_pool((struct weir_child_options){.processes = 3});
	struct job jobs[] = {{.line = test_format("meet %s/1 %s/2", folder, folder)},
			     {.line = test_format("meet %s/2 %s/3", folder, folder)},
			     {.line = test_format("meet %s/3 %s/1", folder, folder)}};
	run_jobs(pool, jobs, 3);
	for (int i = 0; i < 3; i++)
		expect(&jobs[i], "met");
	close_pool(pool);
}

LOOP_TEST(child_may_be_written_in_any_language)
{
	static const char *const programs[][5] = {
		{"/bin/sed", "-u", "s/.*/& & &/"},
		{"/usr/bin/perl", "-ne", "$| = 1; chomp; print \"$_ $_ $_\\n\""},
		{"/usr/bin/python3", "-uc", "import sys\nfor line in sys.stdin: print(*[line.strip()] * 3)"},
	};
	for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++) {
		if (access(programs[i][0], X_OK))
			continue;
		struct weir_child *pool = open_pool((struct weir_child_options){.argv = programs[i], .processes = 2});
		for (int n = 0; n < 3; n++)
			call(pool, "word", 0, "word word word");
		close_pool(pool);
	}
}

static struct weir_child *volatile in_use;

static int call_for_ever(void *arg)
{
	(void)arg;
	char *answer;
	size_t n;
	return weir_child_call(in_use, "x", 1, &answer, &n, NULL, WEIR_FOREVER);
}

static int free_in_a_call(void *arg)
{
	(void)arg;
	struct weir_group *group = new_group();
	in_use = open_pool((struct weir_child_options){.argv = cat_argv});
	spawn(group, call_for_ever, NULL);
	weir_yield();
	breaks(weir_child_free(in_use));
	return 0;
}

static void run_free_in_a_call(void)
{
	weir_run(NULL, free_in_a_call, NULL);
}

TEST(child_freed_in_a_call_is_a_broken_contract)
{
	assert_breaks(run_free_in_a_call, "weir_child_free: a weir_child_call() is still running");
}
