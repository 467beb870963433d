/* SPDX-License-Identifier: MIT */
/* A program that runs once, to its end: small shell scripts. */
#include "unit/children.h"

static int run(const char *text, struct weir_child_options opts, struct weir_child_end *ret_end, weir_nsec deadline)
{
	const char *const argv[] = {"/bin/sh", "-c", text, NULL};
	opts.argv = argv;
	opts.envp = path_envp;
	int code = weir_child_run(&opts, ret_end, deadline);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
	return code;
}

static void expect_end(const char *text, const char *output, const char *complaint, int exit_code, int signal)
{
	struct weir_child_end end;
	ck_assert_int_eq(run(text, (struct weir_child_options){0}, &end, WEIR_FOREVER), 0);
	ck_assert_str_eq(end.output, output);
	ck_assert_uint_eq(end.output_bytes, strlen(output));
	ck_assert_str_eq(end.complaint, complaint);
	ck_assert_int_eq(end.exit_code, exit_code);
	ck_assert_int_eq(end.signal, signal);
	free(end.output);
	free(end.complaint);
}

LOOP_TEST(child_runs_once_and_says_how_it_ended)
{
	expect_end("echo token", "token\n", "", 0, 0);
	expect_end("echo warning >&2; echo token", "token\n", "warning\n", 0, 0);
	expect_end("echo no >&2; exit 3", "", "no\n", 3, 0);
	expect_end("kill -9 $$", "", "", -1, SIGKILL);
	expect_end("cat; echo $?", "0\n", "", 0, 0); /* there is nothing to read */
	expect_end("exec >&- 2>&-; sleep 60", "", "", -1, 0);
}

LOOP_TEST(child_that_writes_much_on_both_is_read_from_both)
{
	struct weir_child_end end;
	ck_assert_int_eq(run("i=0; while [ $i -lt 3000 ]; do echo 'a complaint of the usual length' >&2; echo "
			     "'a line of the usual length'; i=$((i + 1)); done",
			     (struct weir_child_options){0}, &end, WEIR_FOREVER),
			 0);
	ck_assert_uint_eq(end.output_bytes, 3000 * strlen("a line of the usual length\n"));
	ck_assert_uint_eq(end.complaint_bytes, 4096);
	free(end.output);
	free(end.complaint);
	ck_assert_int_eq(run("while :; do echo more; done", (struct weir_child_options){.answer_bytes = 1000}, &end,
			     WEIR_FOREVER),
			 -EFBIG);
}

LOOP_TEST(child_that_takes_too_long_is_killed_with_what_it_started)
{
	struct weir_child_end end;
	const struct weir_child_options limited = {.time_limit = 50 * WEIR_MSEC};
	weir_nsec begun = weir_clock();
	ck_assert_int_eq(run("sleep 60", limited, &end, WEIR_FOREVER), WEIR_ETIMEDOUT);
	ck_assert_int_eq(run("sleep 60 & echo x", limited, &end, WEIR_FOREVER), WEIR_ETIMEDOUT);
	ck_assert_int_eq(run("sleep 60", (struct weir_child_options){0}, &end, weir_after(50 * WEIR_MSEC)),
			 WEIR_ETIMEDOUT);
	ck_assert_int_lt(weir_clock() - begun, 20 * WEIR_SEC);
}

LOOP_TEST(child_that_cannot_be_started_says_why)
{
	const char *const argv[] = {"/no/such/program", NULL};
	struct weir_child_end end;
	ck_assert_int_eq(weir_child_run(&(struct weir_child_options){.argv = argv}, &end, WEIR_FOREVER), -ENOENT);
}
