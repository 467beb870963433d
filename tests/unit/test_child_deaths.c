/* SPDX-License-Identifier: MIT */
/* Pools of children that die, are killed, or answer what nobody asked for. */
#include "unit/children.h"

#include <signal.h>
#include <stdio.h>
#include <sys/stat.h>

static struct weir_child_stats stats_of(const struct weir_child *pool)
{
	struct weir_child_stats stats;
	weir_child_stats(pool, &stats);
	return stats;
}

/* A line of which children die, and what is said of it. */
static void expect_death(struct weir_child *pool, const char *line, const char *how)
{
	struct job job = {.pool = pool, .line = line};
	run_job(&job);
	ck_assert_msg(job.code == WEIR_EDIED, "%s: %s", line, weir_errname(job.code));
	ck_assert_str_eq(job.err.text, how);
}

LOOP_TEST(child_killed_from_outside_costs_no_line)
{
	struct weir_child *pool = open_pool((struct weir_child_options){0});
	struct job jobs[] = {{.line = "1 a"}, {.line = test_format("once %s/killed", test_folder())}, {.line = "3 c"}};
	run_jobs(pool, jobs, 3);
	expect(&jobs[0], "1 a");
	expect(&jobs[1], "survived");
	expect(&jobs[2], "3 c");
	ck_assert_uint_eq(stats_of(pool).deaths, 1);
	close_pool(pool);
}

LOOP_TEST(child_death_names_its_signal_or_exit_code)
{
	struct weir_child *pool = open_pool((struct weir_child_options){.answer_bytes = 100000});
	expect_death(pool, "kill", "two children died on it; the last one was killed by SIGKILL");
	expect_death(pool, "die", "two children died on it; the last one exited with code 3");
	expect_death(pool, "long", "two children died on it; the last one violated the protocol for answers");
	ck_assert_uint_eq(stats_of(pool).deaths, 6);
	close_pool(pool);
}

LOOP_TEST(child_that_aborts_has_said_itself_that_the_line_is_at_fault)
{
	struct weir_child *pool = open_pool((struct weir_child_options){0});
	expect_death(pool, "abort", "the child was killed by SIGABRT");
	ck_assert_uint_eq(stats_of(pool).deaths, 1);
	close_pool(pool);
}

/* The program answers two lines together; the first child dies when it has both, the second gets one. */
LOOP_TEST(child_gets_a_suspect_alone)
{
	const char *const argv[] = {
		"/bin/sh", "-c",
		test_format("while read a && read b; do [ -e %s/died ] || { : >%s/died; exit 1; }; echo $a; echo $b; "
			    "done",
			    test_folder(), test_folder()),
		NULL};
	struct weir_child *pool = open_pool(
		(struct weir_child_options){.argv = argv, .time_limit = 200 * WEIR_MSEC, .start_limit = WEIR_SEC});
	struct job jobs[] = {{.line = "1"}, {.line = "2"}, {.line = "3"}};
	run_jobs(pool, jobs, 3);
	ck_assert_int_eq(jobs[0].code, WEIR_ETIMEDOUT);
	expect(&jobs[1], "2");
	expect(&jobs[2], "3");
	close_pool(pool);
}

LOOP_TEST(child_suspect_whose_caller_has_left_is_not_sent_again)
{
	const char *file = test_format("%s/starts", test_folder());
	struct weir_child *pool = open_pool((struct weir_child_options){0});
	struct job job = {.pool = pool, .line = test_format("late %s", file), .deadline = weir_after(20 * WEIR_MSEC)};
	run_job(&job);
	ck_assert_int_eq(job.code, WEIR_ETIMEDOUT);
	call(pool, "next x", 0, "next x");
	struct stat st;
	ck_assert_int_eq(stat(file, &st), 0);
	ck_assert_int_eq(st.st_size, 2); /* one line: one start */
	close_pool(pool);
}

/* ---- answers that are not believed */

LOOP_TEST(child_numbers_lines_and_answers)
{
	struct weir_child *pool =
		open_pool((struct weir_child_options){.argv = cat_argv, .flags = WEIR_CHILD_NUMBERED});
	struct job *jobs = calloc(120, sizeof *jobs);
	for (int i = 0; i < 120; i++)
		jobs[i].line = test_format("line %d", i);
	run_jobs(pool, jobs, 120);
	for (int i = 0; i < 120; i++)
		expect(&jobs[i], jobs[i].line);
	free(jobs);
	close_pool(pool);
}

LOOP_TEST(child_answer_with_another_number_is_no_answer)
{
	static const char *const programs[] = {"s/^[0-9]*/7/", "s/^[0-9]* //", "s/ //", "s/.*//"};
	for (int i = 0; i < 4; i++) {
		const char *const argv[] = {"/bin/sed", "-u", programs[i], NULL};
		struct weir_child *pool =
			open_pool((struct weir_child_options){.argv = argv, .flags = WEIR_CHILD_NUMBERED});
		expect_death(pool, "x", "two children died on it; the last one violated the protocol for answers");
		close_pool(pool);
	}
}

/* Each child answers its first line twice. */
LOOP_TEST(child_answer_that_nobody_asked_for_is_not_taken_for_that_of_the_next_line)
{
	static const char *const argv[] = {"/bin/sed", "-u", "1{p}", NULL};
	struct weir_child *pool = open_pool((struct weir_child_options){.argv = argv, .flags = WEIR_CHILD_NUMBERED});
	struct job jobs[] = {{.line = "a"}, {.line = "b"}, {.line = "c"}};
	run_jobs(pool, jobs, 3);
	expect(&jobs[0], "a");
	expect(&jobs[1], "b");
	expect(&jobs[2], "c");
	ck_assert_uint_ge(stats_of(pool).deaths, 2);
	close_pool(pool);
}

static bool has_no_x(void *arg, const char *answer, size_t n)
{
	++*(int *)arg;
	return !memchr(answer, 'x', n);
}

LOOP_TEST(child_answer_that_does_not_pass_the_check_is_no_answer)
{
	int checked = 0;
	struct weir_child *pool =
		open_pool((struct weir_child_options){.argv = cat_argv, .check = has_no_x, .arg = &checked});
	struct job jobs[] = {{.line = "1 a"}, {.line = "2 x"}, {.line = "3 c"}};
	run_jobs(pool, jobs, 3);
	expect(&jobs[0], "1 a");
	ck_assert_int_eq(jobs[1].code, WEIR_EDIED);
	expect(&jobs[2], "3 c");
	ck_assert_int_eq(checked, 4);
	close_pool(pool);
}

LOOP_TEST(child_gets_its_preamble_before_its_first_line)
{
	static const char *const argv[] = {
		"/bin/sh", "-c", "read p; while read -r a; do [ $a != die ] || exit 1; echo $p $a; done", NULL};
	struct weir_child *pool =
		open_pool((struct weir_child_options){.argv = argv, .preamble = "first\nignored", .preamble_bytes = 6});
	call(pool, "line", 0, "first line");
	call(pool, "die", WEIR_EDIED, NULL);
	call(pool, "line", 0, "first line");
	close_pool(pool);
}

/* ---- lives */

LOOP_TEST(child_that_dies_fails_its_line_alone_and_order_is_kept)
{
	struct weir_child *pool = open_pool((struct weir_child_options){0});
	struct job jobs[] = {{.line = "1 a"},  {.line = "2 b"}, {.line = "die"}, {.line = "4 d"},
			     {.line = "kill"}, {.line = "6 f"}, {.line = "7 g"}};
	run_jobs(pool, jobs, 7);
	for (int i = 0; i < 7; i++) {
		ck_assert_int_eq(jobs[i].order, i);
		if (i == 2 || i == 4)
			ck_assert_int_eq(jobs[i].code, WEIR_EDIED);
		else
			expect(&jobs[i], jobs[i].line);
	}
	struct weir_child_stats stats;
	weir_child_stats(pool, &stats);
	ck_assert_uint_eq(stats.deaths, 4); /* each of the two gets a second child */
	ck_assert_uint_eq(stats.restarts, 4);
	close_pool(pool);
}

LOOP_TEST(child_that_answers_without_end_is_killed)
{
	struct weir_child *pool = open_pool((struct weir_child_options){.answer_bytes = 100000});
	struct job jobs[] = {{.line = "long"}, {.line = "2 b"}};
	run_jobs(pool, jobs, 2);
	ck_assert_int_eq(jobs[0].code, WEIR_EDIED);
	expect(&jobs[1], "2 b");
	close_pool(pool);
}

LOOP_TEST(child_that_answers_twice_is_started_anew)
{
	struct weir_child *pool = open_pool((struct weir_child_options){0});
	call(pool, "twice", 0, "1");
	struct weir_child_stats stats = {0};
	while (!stats.restarts) {
		ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
		weir_child_stats(pool, &stats);
	}
	call(pool, "next x", 0, "next x");
	close_pool(pool);
}

LOOP_TEST(child_that_closes_its_output_counts_as_dead)
{
	struct weir_child *pool = open_pool((struct weir_child_options){0});
	call(pool, "close", WEIR_EDIED, NULL);
	call(pool, "next x", 0, "next x");
	close_pool(pool);
}

LOOP_TEST(child_killed_while_idle_is_started_again)
{
	struct weir_child *pool = open_pool((struct weir_child_options){0});
	struct job job = {.pool = pool, .line = "pid"};
	run_job(&job);
	ck_assert_int_eq(job.code, 0);
	kill(atoi(job.answer), SIGKILL);
	free(job.answer);
	struct weir_child_stats stats = {0};
	while (!stats.restarts) {
		ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
		weir_child_stats(pool, &stats);
	}
	call(pool, "next x", 0, "next x");
	weir_child_stats(pool, &stats);
	ck_assert_uint_eq(stats.deaths, 1);
	close_pool(pool);
}

LOOP_TEST(child_program_that_never_lives_is_given_up)
{
	static const char *const argv[] = {"/bin/false", NULL};
	struct weir_child *pool = open_pool((struct weir_child_options){.argv = argv, .processes = 2});
	struct weir_child_stats stats = {0};
	while (stats.deaths < 10) {
		ck_assert_int_eq(weir_sleep(WEIR_MSEC), 0);
		weir_child_stats(pool, &stats);
	}
	ck_assert_int_eq(weir_sleep(10 * WEIR_MSEC), 0);
	call(pool, "x", WEIR_EDIED, NULL);
	call(pool, "y", WEIR_EDIED, NULL);
	weir_child_stats(pool, &stats);
	ck_assert_uint_eq(stats.deaths, 10);
	close_pool(pool);
}

LOOP_TEST(child_calls_to_a_program_that_dies_immediately_all_end)
{
	static const char *const argv[] = {"/bin/false", NULL};
	struct weir_child *pool = open_pool((struct weir_child_options){.argv = argv});
	struct job jobs[20] = {0};
	for (int i = 0; i < 20; i++)
		jobs[i].line = "x";
	run_jobs(pool, jobs, 20);
	for (int i = 0; i < 20; i++)
		ck_assert_int_eq(jobs[i].code, WEIR_EDIED);
	close_pool(pool);
}

LOOP_TEST(child_deaths_and_deadlines_at_random_leave_every_other_answer_right)
{
	enum { N = 600 };
	struct weir_child *pool = open_pool((struct weir_child_options){.processes = 3, .batch = 8});
	struct job *jobs = calloc(N, sizeof *jobs);
	unsigned random = 12345;
	for (int i = 0; i < N; i++) {
		random = random * 1103515245 + 12345;
		bool dies = (random >> 16) % 16 == 0;
		jobs[i].line = dies ? "die" : test_format("line %d", i);
		if ((random >> 20) % 4 == 0)
			jobs[i].deadline = weir_after((random >> 16) % 40 * WEIR_MSEC + 1);
	}
	run_jobs(pool, jobs, N);
	for (int i = 0; i < N; i++) {
		if (jobs[i].deadline && jobs[i].code == WEIR_ETIMEDOUT)
			continue;
		if (!strcmp(jobs[i].line, "die"))
			ck_assert_int_eq(jobs[i].code, WEIR_EDIED);
		else
			expect(&jobs[i], jobs[i].line);
	}
	free(jobs);
	close_pool(pool);
}
