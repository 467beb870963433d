/* SPDX-License-Identifier: MIT */
/* The step jq with the real weir-jq: the one WEIR_JQ names, else that of the build folder. */
#include "port/adapters.h"
#include "support/test.h"
#include "unit/jq_path.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weir/group.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static void *field(void *config, const char *name)
{
	for (const struct key *key = step_jq_adapter.keys; key->name; key++)
		if (!strcmp(key->name, name))
			return (char *)config + key->offset;
	ck_abort_msg("no key %s", name);
	return NULL;
}

enum { MOST = 6000 };

struct setup {
	void *config;
	struct step *step;
};

static struct setup open_step_of(const char *exe_path, const char *program, int64_t workers, weir_nsec timeout,
				 uint64_t memory)
{
	struct setup setup = {.config = calloc(1, step_jq_adapter.config_bytes)};
	*(const char **)field(setup.config, "program") = program;
	*(int64_t *)field(setup.config, "workers") = workers;
	*(weir_nsec *)field(setup.config, "timeout") = timeout;
	*(uint64_t *)field(setup.config, "memory") = memory;
	*(int64_t *)field(setup.config, "max_outputs") = MOST;
	struct step_env env = {.concurrency = 64, .exe_path = exe_path};
	struct weir_error err = {0};
	int code = step_jq_adapter.step->open(setup.config, &env, &setup.step, &err);
	ck_assert_msg(code == 0, "%s", err.text);
	return setup;
}

static struct setup open_step(const char *program, int64_t workers, weir_nsec timeout, uint64_t memory)
{
	return open_step_of(exe_path(), program, workers, timeout, memory);
}

static struct setup open_default(const char *program)
{
	return open_step(program, 1, 10 * WEIR_SEC, (uint64_t)256 << 20);
}

static void close_step(struct setup *setup)
{
	step_jq_adapter.step->close(setup->step);
	free(setup->config);
	ck_assert_int_eq(waitpid(-1, NULL, WNOHANG), -1);
}

struct job {
	struct step *step;
	const char *input;
	enum step_verdict verdict;
	struct value_list outputs;
	char why[256];
	weir_nsec after;
	struct buf *evidence;
	struct weir_attempt *permit;
};

static int run_job(void *arg)
{
	struct job *job = arg;
	struct value input = {(char *)job->input, strlen(job->input)};
	struct item item = {.position = 7, .source = {"{\"from\":\n\"source\"}", 18}};
	struct step_call call = {.item = &item,
				 .input = &input,
				 .attempt = 2,
				 .outputs = &job->outputs,
				 .evidence = job->evidence,
				 .permit = job->permit};
	job->verdict = step_jq_adapter.step->run(job->step, &call);
	memcpy(job->why, call.why, sizeof job->why);
	job->after = call.after;
	return 0;
}

static void run_jobs(const struct setup *setup, struct job *jobs, size_t n)
{
	struct weir_group *group;
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	for (size_t i = 0; i < n; i++) {
		jobs[i].step = setup->step;
		ck_assert_int_eq(weir_group_spawn(group, run_job, &jobs[i], WEIR_FOREVER), 0);
	}
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
}

/* The outputs, joined by " | ". */
static const char *outputs_of(struct job *job)
{
	const char *all = "";
	for (size_t i = 0; i < job->outputs.n; i++)
		all = test_format("%s%s%s", all, i ? " | " : "", job->outputs.values[i].data);
	value_list_fini(&job->outputs);
	return all;
}

static void expect_ok(struct job *job, const char *outputs)
{
	ck_assert_msg(job->verdict == STEP_OK, "%s", job->why);
	ck_assert_str_eq(outputs_of(job), outputs);
}

static void expect_dead(struct job *job, const char *why)
{
	ck_assert_int_eq(job->verdict, STEP_DEAD);
	ck_assert_uint_eq(job->outputs.n, 0);
	ck_assert_str_eq(job->why, why);
	value_list_fini(&job->outputs);
}

static struct job run_one(const struct setup *setup, const char *input)
{
	struct job job = {.step = setup->step, .input = input};
	run_job(&job);
	return job;
}

static void try_program(const char *program, const char *input, const char *outputs)
{
	struct setup setup = open_default(program);
	struct job job = run_one(&setup, input);
	expect_ok(&job, outputs);
	close_step(&setup);
}

static void try_dead(const char *program, const char *input, const char *why)
{
	struct setup setup = open_default(program);
	struct job job = run_one(&setup, input);
	expect_dead(&job, why);
	close_step(&setup);
}

LOOP_TEST(jq_forgets_what_was_parsed_of_an_item_while_its_program_runs)
{
	struct setup setup = open_default(".a");
	struct value input;
	struct value_list outputs = {0};
	const struct json *json;
	ck_assert_int_eq(value_copy(&input, "{\"a\":1}", 7), 0);
	ck_assert_int_eq(value_json(&input, &json, NULL), 0);
	struct step_call call = {.input = &input, .attempt = 1, .outputs = &outputs};
	ck_assert_int_eq(step_jq_adapter.step->run(setup.step, &call), STEP_OK);
	ck_assert_uint_eq(outputs.n, 1);
	ck_assert_str_eq(outputs.values[0].data, "1");
	ck_assert_ptr_null(input.json);
	value_list_fini(&outputs);
	value_fini(&input);
	close_step(&setup);
}

LOOP_TEST(jq_reshapes_multiplies_and_drops)
{
	try_program("{id, total: ([.items[] | .qty * .price] | add)}",
		    "{\"id\":7,\"items\":[{\"qty\":2,\"price\":1.5},{\"qty\":1,\"price\":4}]}",
		    "{\"id\":7,\"total\":7}");
	try_program(".[]", "[1,\n2,\n\"a\\u001eb\"]", "1 | 2 | \"a\\u001eb\"");
	try_program("empty", "1", "");
	try_program("select(.a)", "{\"a\":false}", "");
	try_program("def f: 5;", "[3]", "[3]");
	try_program(". # a comment", "[3]", "[3]");
}

LOOP_TEST(jq_sees_source_and_meta)
{
	try_program("[$source.from, $meta.attempt, $meta.position, .]", "{\"a\":\n1}", "[\"source\",2,7,{\"a\":1}]");
	try_program("$source.from, .a # $meta", "{\"a\":1}", "\"source\" | 1");
}

LOOP_TEST(jq_identity_keeps_every_digit_and_starts_nothing)
{
	struct setup setup = open_default(" .\n");
	struct job job = run_one(&setup, "{\"n\":12345678901234567890}");
	expect_ok(&job, "{\"n\":12345678901234567890}");
	close_step(&setup);
}

/* U+10FF00: what such numbers are marked with inside jq. */
#define MARK "\xf4\x8f\xbc\x80"

LOOP_TEST(jq_copies_numbers_with_all_their_digits)
{
	static const char *const numbers[] = {
		"9007199254740993",         "-9007199254740993",   "12345678901234567890", "0.12345678901234567890",
		"1.2345678901234567890e-5", "0.30000000000000004", "9007199254740992",     "1E40000000000000"};
	struct setup setup = open_default("[.[0], {n: .[0]}, .[1]]");
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
		const char *n = numbers[i];
		struct job job = run_one(&setup, test_format("[%s,\"" MARK "%s\"]", n, n));
		expect_ok(&job, test_format("[%s,{\"n\":%s},\"" MARK "%s\"]", n, n, n));
	}
	struct job job = run_one(&setup, "[9007199254740993,\"\\udbff\\uDF001\"]");
	expect_ok(&job, "[9007199254740993,{\"n\":9007199254740993},\"" MARK "1\"]");
	close_step(&setup);
	try_program("{(.id | tostring): .id, \"x\\(.id)\": $source.from}", "{\"id\":9007199254740993}",
		    "{\"9007199254740993\":9007199254740993,\"x9007199254740993\":\"source\"}");
}

LOOP_TEST(jq_takes_a_number_of_many_digits_as_a_number)
{
	const char *input = "{\"id\":9007199254740993,\"t\":\"9007199254740995\",\"k\":1}";
	try_program(".id | type, tostring, tojson, @json, \"\\(.)\"", input,
		    "\"number\" | \"9007199254740993\" | \"9007199254740993\" | \"9007199254740993\" | "
		    "\"9007199254740993\"");
	try_program("tojson, @uri", "[9007199254740993]", "\"[9007199254740993]\" | \"%5B9007199254740993%5D\"");
	try_program("[.id, .t, .k] | @csv, join(\",\")", input,
		    "\"9007199254740993,\\\"9007199254740995\\\",1\" | \"9007199254740993,9007199254740995,1\"");
	try_program("[.[] | numbers], [.[] | strings]", input, "[9007199254740993,1] | [\"9007199254740995\"]");
	try_program(".id > 5, .id < (.t | tonumber), .id == .id, .id == (.t | tonumber)", input,
		    "true | true | true | false");
	try_program(".t | tonumber", input, "9007199254740995");
	try_program(".id | tonumber / 2", input, "4503599627370496");
	try_program("[.id, .k, .id] | unique, (map(select(. == 1)) | add)", input, "[1,9007199254740993] | 1");
}

LOOP_TEST(jq_does_not_compute_with_digits_it_does_not_keep)
{
	static const char *const programs[] = {".id + 1",        "1 + .id",   ".id - 1",    "2 * .id",
					       ".id / 2",        ".id % 2",   "-.id",       ".id += 1",
					       "[.id, 1] | add", ".id + .id", "\"n\" + .id"};
	for (size_t i = 0; i < sizeof programs / sizeof programs[0]; i++)
		try_dead(programs[i], "{\"id\":9007199254740993}",
			 "jq: 9007199254740993 has more digits than jq computes with; tonumber rounds it");
	try_dead(".id | floor", "{\"id\":9007199254740993}", "jq: string (\"900719...) number required");
}

LOOP_TEST(jq_errors_are_dead_letters_with_their_text)
{
	try_dead("error(\"it is\\nwrong\")", "1", "jq: it is wrong");
	try_dead(".a.b", "{\"a\":[1]}", "jq: Cannot index array with string \"b\"");
	try_dead("1, 2, error", "{\"a\":1}", "jq: {\"a\":1}");
}

static void try_again(const char *program, const char *why, weir_nsec after)
{
	struct setup setup = open_default(program);
	struct job job = run_one(&setup, "{\"n\":9007199254740993, \"wait\": 1.5}");
	ck_assert_msg(job.verdict == STEP_RETRY && job.after == after && job.outputs.n == 0, "%s: %d, %lld ns, %s",
		      program, job.verdict, (long long)job.after, job.why);
	ck_assert_str_eq(job.why, why);
	close_step(&setup);
}

LOOP_TEST(jq_error_with_retry_is_tried_again_not_before_its_time)
{
	try_again("error({retry: true, after: 2, why: \"not ready\"})", "jq: not ready", 2 * WEIR_SEC);
	try_again("1, error({retry: true, after: .wait, why: \"a\\nb \\(.n)\"})", "jq: a b 9007199254740993",
		  1500 * WEIR_MSEC);
	try_again("error({retry: true, after: 0.0001})", "jq: the program asks to try again", WEIR_MSEC);
	try_again("error({retry: true})", "jq: the program asks to try again", 0);
	try_again("error({retry: true, after: null, why: {code: 7}})", "jq: {\"code\":7}", 0);
	try_again("error({retry: true, after: -3})", "jq: the program asks to try again", 0);
	try_again("error({retry: true, after: 1e300})", "jq: the program asks to try again",
		  (weir_nsec)366 * 24 * 3600 * WEIR_SEC);
}

LOOP_TEST(jq_error_without_retry_is_final)
{
	try_dead("error({retry: false, after: 2})", "1", "jq: {\"retry\":false,\"after\":2}");
	try_dead("error({retry: \"true\"})", "1", "jq: {\"retry\":\"true\"}");
	try_dead("error({retry: true} | tojson)", "1", "jq: {\"retry\":true}");
	try_dead("error({retry: true, after: \"2s\"})", "1",
		 "jq: the error asks to try again, but `after` is not a number of seconds");
	try_program("try error({retry: true}) catch .retry", "1", "true");
}

LOOP_TEST(jq_dead_letters_have_the_value_that_was_given)
{
	struct setup setup = open_default("if .n == 1 then error(\"one\") else . end");
	struct buf evidence = {0};
	struct job job = {.step = setup.step, .input = "{\"n\":1}", .evidence = &evidence};
	run_jobs(&setup, &job, 1);
	expect_dead(&job, "jq: one");
	ck_assert_str_eq(evidence.data, "\"input\":\"{\\\"n\\\":1}\"");
	buf_clear(&evidence);
	job = (struct job){.step = setup.step, .input = "{\"n\":2}", .evidence = &evidence};
	run_jobs(&setup, &job, 1);
	expect_ok(&job, "{\"n\":2}");
	ck_assert_uint_eq(evidence.len, 0);
	buf_fini(&evidence);
	close_step(&setup);
}

LOOP_TEST(jq_refuses_what_is_no_json)
{
	struct setup setup = open_default(".a");
	struct job job = run_one(&setup, "{\"a\":");
	expect_dead(&job, "jq: not json: incomplete value");
	job = run_one(&setup, "1 2");
	expect_dead(&job, "jq: not json: more than one value");
	job = run_one(&setup, "{\"a\":1}}");
	expect_dead(&job, "jq: not json: more than one value");
	job = run_one(&setup, "nul");
	expect_dead(&job, "jq: not json: Invalid numeric literal");
	job = run_one(&setup, "");
	expect_dead(&job, "jq: not json: incomplete value");
	job = run_one(&setup, "{\"a\":1}");
	expect_ok(&job, "1");
	close_step(&setup);
}

LOOP_TEST(jq_cannot_stop_or_confuse_its_process)
{
	try_dead("halt", "1", "jq: the program halted");
	try_dead("\"bye\" | halt_error", "1", "jq: the program halted");
	try_dead("input", "1", "jq: break");
	try_program("[inputs]", "1", "[]");
	try_program("debug | stderr", "1", "1");
	try_dead("input_line_number", "1", "jq: Unknown input line number");
}

LOOP_TEST(jq_sees_no_environment)
{
	setenv("WEIR_TEST_SECRET", "s3cret", 1);
	try_program("env, $ENV", "1", "{} | {}");
}

LOOP_TEST(jq_outputs_are_capped)
{
	try_dead("range(1000000)", "1", "jq: more than 6000 outputs (max_outputs)");
	struct setup setup = open_default("range(6000)");
	struct job job = run_one(&setup, "1");
	ck_assert_int_eq(job.verdict, STEP_OK);
	ck_assert_uint_eq(job.outputs.n, 6000);
	value_list_fini(&job.outputs);
	close_step(&setup);
	try_dead("[range(300000)] | tojson | . * 20", "1", "jq: outputs over 10 MiB");
}

LOOP_TEST(jq_endless_program_is_killed_and_only_its_item_is_dead)
{
	struct setup setup =
		open_step("if . == 3 then (def f: f; f) else . * 10 end", 1, 300 * WEIR_MSEC, (uint64_t)256 << 20);
	struct job jobs[8] = {0};
	for (int i = 0; i < 8; i++)
		jobs[i].input = test_format("%d", i);
	run_jobs(&setup, jobs, 8);
	for (int i = 0; i < 8; i++) {
		if (i == 3)
			expect_dead(&jobs[i], "jq: over 300 ms");
		else
			expect_ok(&jobs[i], test_format("%d", i * 10));
	}
	close_step(&setup);
}

LOOP_TEST(jq_program_cut_short_by_the_attempts_time_is_tried_again)
{
	struct setup setup = open_step("def f: f; f", 1, 2 * WEIR_SEC, (uint64_t)256 << 20);
	struct weir_attempt attempt = {.deadline = weir_now() + 100 * WEIR_MSEC};
	struct job job = {.step = setup.step, .input = "1", .permit = &attempt};
	struct weir_deadline scope;
	weir_deadline_enter(&scope, attempt.deadline);
	run_job(&job);
	weir_deadline_leave(&scope);
	ck_assert_int_eq(job.verdict, STEP_RETRY);
	ck_assert_str_eq(job.why, "timeout: the attempt took too long (flow.timeout.attempt)");
	close_step(&setup);
}

LOOP_TEST(jq_memory_is_limited_and_only_the_culprit_is_dead)
{
	if (SANITIZED) /* there the limit cannot be set */
		return;
	struct setup setup =
		open_step("if . == 2 then [range(1e8)] | length else . end", 1, 20 * WEIR_SEC, (uint64_t)64 << 20);
	struct job jobs[5] = {0};
	for (int i = 0; i < 5; i++)
		jobs[i].input = test_format("%d", i);
	run_jobs(&setup, jobs, 5);
	for (int i = 0; i < 5; i++) {
		if (i == 2)
			expect_dead(&jobs[i], "jq: out of memory (limited to 64 MiB)");
		else
			expect_ok(&jobs[i], jobs[i].input);
	}
	close_step(&setup);
}

LOOP_TEST(jq_a_thousand_items_each_get_their_own_answer)
{
	enum { N = 1000 };
	struct setup setup = open_step("{n: .n, square: (.n * .n)}", 2, 10 * WEIR_SEC, (uint64_t)256 << 20);
	struct job *jobs = calloc(N, sizeof *jobs);
	for (int i = 0; i < N; i++)
		jobs[i].input = test_format("{\"n\":%d,\"text\":\"a\\nb\"}", i);
	run_jobs(&setup, jobs, N);
	for (int i = 0; i < N; i++)
		expect_ok(&jobs[i], test_format("{\"n\":%d,\"square\":%d}", i, i * i));
	free(jobs);
	close_step(&setup);
}

LOOP_TEST(jq_item_that_is_too_long_is_a_dead_letter)
{
	size_t n = (size_t)17 << 20;
	char *input = malloc(n + 1);
	memset(input, '1', n);
	input[n] = 0;
	try_dead(".a", input, "jq: an item over 16 MiB");
	free(input);
}

LOOP_TEST(jq_without_its_program_is_an_error_that_names_it)
{
	void *config = calloc(1, step_jq_adapter.config_bytes);
	*(const char **)field(config, "program") = ".a";
	struct step_env env = {.exe_path = "/nonexistent/weir"};
	struct weir_error err = {0};
	struct step *step;
	ck_assert_int_eq(step_jq_adapter.step->open(config, &env, &step, &err), -ENOENT);
	ck_assert_ptr_nonnull(strstr(err.text, "/nonexistent/weir-jq"));
	free(config);
}

/* ---- a stand-in for weir-jq that breaks the rules: `$n` is the number of the request, `$v` its value */

static struct setup open_stand_in(const char *answer)
{
	const char *path =
		test_write_file("weir-jq", test_format("#!/usr/bin/perl\n"
						       "$| = 1; $/ = \"\\0\"; <STDIN>; $/ = \"\\n\";\n"
						       "while (<STDIN>) { chomp; my ($n, $v) = split / /, $_, 2;\n"
						       "if ($v eq '1') { %s } else { print \"$n $v\\n\" } }\n",
						       answer));
	ck_assert_int_eq(chmod(path, 0700), 0);
	return open_step_of(test_format("%s/weir", test_folder()), "p", 1, 10 * WEIR_SEC, 0);
}

static const char broken[] = "jq: two children died on it; the last one violated the protocol for answers";

LOOP_TEST(jq_answers_that_are_no_json_of_their_request_are_not_believed)
{
	static const char *const answers[] = {
		"print \"$n {]\\n\"",                                    /* no JSON */
		"print \"$n \\x00\\xff\\n\"",                            /* no text */
		"print \"$n \\\"\\xc3\\\"\\n\"",                         /* no UTF-8 */
		"print \"$n 1 2\\n\"",                                   /* two values in one */
		"print \"$n 1\\x1e\\n\"",                                /* an output that is empty */
		"print \"$n {\\\"a\\\":1,\\\"a\\\":2}\\n\"",             /* a key twice */
		"print \"1\\n\"",                                        /* no number */
		"print \"99 1\\n\"",                                     /* another number */
		"print \"\\n\"",                                         /* nothing at all */
		"print \"$n \", join(\"\\x1e\", (1) x 6001), \"\\n\"",   /* too many outputs */
		"print \"$n !\", 'x' x 300, \"\\n\"",                    /* more words than weir-jq has */
		"print \"$n !\\xff\\n\"",                                /* an error that is no text */
		"print \"$n ?1 \\xff\\n\"",                              /* the same, to try again */
		"print \"$n \", '[' x 600, '1', ']' x 600, \"\\n\"",     /* nested too deep */
		"print \"$n 1\\n$n 1\\n\"; exec '/bin/false' if $n > 1", /* one that nobody asked for */
	};
	for (size_t i = 0; i < sizeof answers / sizeof answers[0]; i++) {
		struct setup setup = open_stand_in(answers[i]);
		struct job jobs[] = {{.input = "0"}, {.input = "1"}, {.input = "2"}};
		run_jobs(&setup, jobs, 3);
		expect_ok(&jobs[0], "0");
		if (i < sizeof answers / sizeof answers[0] - 1)
			expect_dead(&jobs[1], broken);
		else
			expect_ok(&jobs[1], "1");
		expect_ok(&jobs[2], "2");
		close_step(&setup);
	}
}

LOOP_TEST(jq_child_killed_from_outside_costs_no_item)
{
	const char *file = test_format("%s/killed", test_folder());
	struct setup setup = open_stand_in(
		test_format("unless (-e '%s') { open(my $f, '>', '%s'); kill 9, $$ } print \"$n 10\\n\"", file, file));
	struct job jobs[] = {{.input = "0"}, {.input = "1"}, {.input = "2"}};
	run_jobs(&setup, jobs, 3);
	expect_ok(&jobs[0], "0");
	expect_ok(&jobs[1], "10");
	expect_ok(&jobs[2], "2");
	close_step(&setup);
}

LOOP_TEST(jq_outputs_too_deep_for_jq_to_write_are_an_error)
{
	try_dead("reduce range(300) as $i (.; [.])", "1", "jq: an output nested deeper than 256 levels");
	try_program("reduce range(200) as $i (.; [.]) | tojson | length", "1", "401");
	try_program("\"\\\"<b>\\\"\"", "1", "\"\\\"<b>\\\"\"");
}

/* What `weir-jq --check` says, or "" when it is content. */
static const char *check(const char *program)
{
	static char said[1024];
	int fds[2];
	pid_t pid;
	posix_spawn_file_actions_t actions;
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, test_write_file("program", program), O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
	char *argv[] = {"weir-jq", "--check", NULL};
	ck_assert_int_eq(posix_spawn(&pid, jq_path(), &actions, NULL, argv, environ), 0);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[1]);
	size_t len = 0;
	for (ssize_t n; (n = read(fds[0], said + len, sizeof said - 1 - len)) > 0;)
		len += (size_t)n;
	said[len] = 0;
	close(fds[0]);
	int status;
	ck_assert_int_eq(waitpid(pid, &status, 0), pid);
	ck_assert_int_eq(WEXITSTATUS(status), len ? 1 : 0);
	return said;
}

TEST(jq_check_says_in_one_line_what_is_wrong)
{
	ck_assert_str_eq(check("{a: .b, c: $source.d, e: $meta.attempt}"), "");
	ck_assert_str_eq(check("def f: 1;"), "");
	ck_assert_str_eq(check(".a |"), "syntax error, unexpected end, line 1\n");
	ck_assert_str_eq(check(". |\n foo(1), bar"), "foo/1 is not defined, line 2\n");
	ck_assert_str_eq(check("$who"), "$who is not defined, line 1\n");
	ck_assert_str_eq(check("1) | (2"), "syntax error, unexpected INVALID_CHARACTER, expecting end, line 1\n");
	ck_assert_str_eq(check("import \"x\" as x; ."), "module not found: x\n");
}
