/* SPDX-License-Identifier: MIT */
/* The step jq with the real weir-jq: the one WEIR_JQ names, else that of the build folder. */
#include "port/adapters.h"
#include "support/test.h"

#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static const char *jq_path(void)
{
	const char *given = getenv("WEIR_JQ");
	if (given)
		return given;
	char exe[4096];
	ssize_t n = readlink("/proc/self/exe", exe, sizeof exe - 1);
	ck_assert_int_gt(n, 0);
	exe[n] = 0;
	*strrchr(exe, '/') = 0;
	return test_format("%s/../weir-jq", exe);
}

static void *field(void *config, const char *name)
{
	for (const struct key *key = step_jq_adapter.keys; key->name; key++)
		if (!strcmp(key->name, name))
			return (char *)config + key->offset;
	ck_abort_msg("no key %s", name);
	return NULL;
}

struct setup {
	void *config;
	struct step *step;
};

static struct setup open_step(const char *program, int64_t workers, weir_nsec timeout, uint64_t memory)
{
	struct setup setup = {.config = calloc(1, step_jq_adapter.config_bytes)};
	*(const char **)field(setup.config, "program") = program;
	*(int64_t *)field(setup.config, "workers") = workers;
	*(weir_nsec *)field(setup.config, "timeout") = timeout;
	*(uint64_t *)field(setup.config, "memory") = memory;
	const char *slash = strrchr(jq_path(), '/');
	struct step_env env = {
		.concurrency = 64,
		.exe_path = test_format("%.*sweir", (int)(slash - jq_path()) + 1, jq_path()),
	};
	struct weir_error err = {0};
	int code = step_jq_adapter.step->open(setup.config, &env, &setup.step, &err);
	ck_assert_msg(code == 0, "%s", err.text);
	return setup;
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
};

static int run_job(void *arg)
{
	struct job *job = arg;
	struct value input = {(char *)job->input, strlen(job->input)};
	struct item item = {.position = 7, .source = {"{\"from\":\n\"source\"}", 18}};
	struct step_call call = {.item = &item, .input = &input, .attempt = 2, .outputs = &job->outputs};
	job->verdict = step_jq_adapter.step->run(job->step, &call);
	memcpy(job->why, call.why, sizeof job->why);
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

LOOP_TEST(jq_errors_are_dead_letters_with_their_text)
{
	try_dead("error(\"it is\\nwrong\")", "1", "jq: it is wrong");
	try_dead(".a.b", "{\"a\":[1]}", "jq: Cannot index array with string \"b\"");
	try_dead("1, 2, error", "{\"a\":1}", "jq: {\"a\":1}");
}

LOOP_TEST(jq_refuses_what_is_no_json)
{
	struct setup setup = open_default(".a");
	struct job job = run_one(&setup, "{\"a\":");
	expect_dead(&job, "jq: not json: the value is not complete");
	job = run_one(&setup, "1 2");
	expect_dead(&job, "jq: not json: more than one value");
	job = run_one(&setup, "{\"a\":1}}");
	expect_dead(&job, "jq: not json: more than one value");
	job = run_one(&setup, "nul");
	expect_dead(&job, "jq: not json: Invalid numeric literal");
	job = run_one(&setup, "");
	expect_dead(&job, "jq: not json: the value is not complete");
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
	try_dead("range(1000000)", "1", "jq: more than 1000 outputs");
	try_dead("[range(300000)] | tojson | . * 20", "1", "jq: outputs of more than 10 MiB");
	try_program("[range(1000)] | length", "1", "1000");
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
			expect_dead(&jobs[i], "jq: the child died of it (memory is limited to 64 MiB)");
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
	try_dead(".a", input, "jq: an item of more than 16 MiB");
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

/* What `weir-jq --check` says, or "" when it is content. */
static const char *check(const char *program)
{
	static char said[1024];
	int fds[2];
	pid_t pid;
	posix_spawn_file_actions_t actions;
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[1], STDERR_FILENO);
	char *argv[] = {"weir-jq", "--check", (char *)program, NULL};
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
