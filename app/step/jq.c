/* SPDX-License-Identifier: MIT */
/*
 * The step `jq`: runs a jq program on each value, in weir-jq children (jq/weir-jq.c tells the protocol).
 *
 * An item is one line there: line breaks between tokens become blanks; inside JSON strings there are none.  The program
 * "." is not run: the value passes as it is, with all its digits, which jq 1.6 would round.  A child that takes too
 * long or too much memory is killed together with the one item that made it so.
 *
 * One child is the default: at 13 us an item it is faster than one loop fetches them, and it then has a core of its
 * own beside the loop.  More only help with programs that take longer.
 */
#include "port/adapter.h"
#include "port/adapters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/child.h>

enum {
	LINE_MOST = 16 * 1024 * 1024 - 1, /* what weir-jq takes, without the newline */
	SEPARATOR = 0x1e,
};

struct jq_config {
	char *program;
	int64_t workers;
	weir_nsec timeout;
	uint64_t memory;
};

struct step {
	const struct jq_config *config;
	struct weir_child *children; /* NULL: the program is "." */
	bool vars;                   /* the program sees $source and $meta */
};

static const struct key jq_keys[] = {
	{.name = "program",
	 .type = KEY_JQ,
	 .offset = offsetof(struct jq_config, program),
	 .flags = KEY_REQUIRED,
	 .text = "the jq program; no output drops the item, several multiply it; $source is the item as it was read, "
		 "$meta holds attempt and position"},
	{.name = "workers",
	 .type = KEY_COUNT,
	 .offset = offsetof(struct jq_config, workers),
	 .fallback = "1",
	 .min = 1,
	 .max = 64,
	 .text = "child processes that run the program"},
	{.name = "timeout",
	 .type = KEY_DURATION,
	 .offset = offsetof(struct jq_config, timeout),
	 .fallback = "1s",
	 .min = WEIR_MSEC,
	 .max = 24 * 3600 * WEIR_SEC,
	 .text = "longest time for one item"},
	{.name = "memory",
	 .type = KEY_SIZE,
	 .offset = offsetof(struct jq_config, memory),
	 .fallback = "256MiB",
	 .min = (int64_t)16 << 20,
	 .max = (int64_t)1 << 40,
	 .text = "most memory (address space) of a child"},
	{0},
};

static bool is_identity(const char *program)
{
	program += strspn(program, " \t\r\n");
	return *program == '.' && program[1 + strspn(program + 1, " \t\r\n")] == 0;
}

/* weir-jq lies beside weir. */
static char *helper_path(const char *exe_path)
{
	const char *slash = strrchr(exe_path, '/');
	char *path;
	int n = asprintf(&path, "%.*sweir-jq", slash ? (int)(slash - exe_path) + 1 : 0, exe_path);
	return n < 0 ? NULL : path;
}

static int start_children(struct step *step, const struct step_env *env, struct weir_error *err)
{
	const struct jq_config *config = step->config;
	char *path = helper_path(env->exe_path);
	if (!path)
		return weir_error_set(err, WEIR_ENOMEM, "jq: out of memory");
	const char *argv[] = {path, step->vars ? "--vars" : config->program, step->vars ? config->program : NULL, NULL};
	const struct weir_child_options opts = {
		.argv = argv,
		.processes = (unsigned)config->workers,
		.memory_bytes = config->memory,
		.time_limit = config->timeout,
		.start_limit = config->timeout + 2 * WEIR_SEC,
	};
	int code = weir_child_new(&opts, &step->children);
	if (code)
		weir_error_set(err, code, "jq: cannot start %s: %s", path, weir_strerror(code));
	free(path);
	return code;
}

static int jq_open(const void *config, const struct step_env *env, struct step **ret_step, struct weir_error *err)
{
	struct step *step = calloc(1, sizeof *step);
	if (!step)
		return weir_error_set(err, WEIR_ENOMEM, "jq: out of memory");
	step->config = config;
	step->vars = strstr(step->config->program, "$source") || strstr(step->config->program, "$meta");
	int code = is_identity(step->config->program) ? 0 : start_children(step, env, err);
	if (code) {
		free(step);
		return code;
	}
	*ret_step = step;
	return 0;
}

static int add_folded(struct buf *line, const struct value *value)
{
	size_t start = line->len;
	int code = buf_add(line, value->data, value->len);
	for (size_t i = start; !code && i < line->len; i++)
		if (line->data[i] == '\n')
			line->data[i] = ' ';
	return code;
}

/* The request; *ret_line is the input itself where that will do. */
static int write_request(const struct step *step, const struct step_call *call, struct buf *room,
			 struct value *ret_line)
{
	if (!step->vars && !memchr(call->input->data, '\n', call->input->len)) {
		*ret_line = *call->input;
		return 0;
	}
	add_folded(room, call->input);
	if (step->vars) {
		buf_add_char(room, SEPARATOR);
		add_folded(room, &call->item->source);
		buf_addf(room, "%c{\"attempt\":%u,\"position\":%llu}", SEPARATOR, call->attempt,
			 (unsigned long long)call->item->position);
	}
	*ret_line = (struct value){room->data, room->len};
	return room->failed ? WEIR_ENOMEM : 0;
}

/* Takes the n bytes of answer, which are not empty, apart into outputs. */
static int add_outputs(struct value_list *outputs, char *answer, size_t n)
{
	if (!memchr(answer, SEPARATOR, n))
		return value_list_take(outputs, &(struct value){answer, n});
	int code = 0;
	for (char *at = answer, *end = answer + n; !code && at <= end;) {
		char *stop = memchr(at, SEPARATOR, (size_t)(end - at));
		size_t len = (size_t)((stop ? stop : end) - at);
		struct value value;
		code = value_copy(&value, at, len);
		if (!code)
			code = value_list_take(outputs, &value);
		at += len + 1;
	}
	free(answer);
	return code;
}

static enum step_verdict fail(struct step_call *call, enum step_verdict verdict, const char *text)
{
	snprintf(call->why, sizeof call->why, "jq: %s", text);
	return verdict;
}

static enum step_verdict fail_late(struct step_call *call, weir_nsec timeout)
{
	bool seconds = timeout % WEIR_SEC == 0;
	snprintf(call->why, sizeof call->why, "jq: over %lld %s",
		 (long long)(timeout / (seconds ? WEIR_SEC : WEIR_MSEC)), seconds ? "s" : "ms");
	return STEP_DEAD;
}

static enum step_verdict fail_dead(struct step_call *call, uint64_t memory)
{
	snprintf(call->why, sizeof call->why, "jq: the child died of it (memory is limited to %llu MiB)",
		 (unsigned long long)(memory >> 20));
	return STEP_DEAD;
}

/* Takes the answer over. */
static enum step_verdict judge(struct step_call *call, char *answer, size_t n)
{
	enum step_verdict verdict = STEP_OK;
	if (answer[0] == '!')
		verdict = fail(call, STEP_DEAD, answer + 1);
	if (answer[0] == '!' || !n) {
		free(answer);
		return verdict;
	}
	return add_outputs(call->outputs, answer, n) ? fail(call, STEP_RETRY, "out of memory") : STEP_OK;
}

static enum step_verdict pass_through(struct step_call *call)
{
	struct value value;
	int code = value_copy(&value, call->input->data, call->input->len);
	if (!code)
		code = value_list_take(call->outputs, &value);
	return code ? fail(call, STEP_RETRY, "out of memory") : STEP_OK;
}

static enum step_verdict jq_run(struct step *step, struct step_call *call)
{
	if (!step->children)
		return pass_through(call);
	struct buf room = {0};
	struct value line;
	char *answer;
	size_t n;
	int code = write_request(step, call, &room, &line);
	if (!code && line.len > LINE_MOST) {
		buf_fini(&room);
		return fail(call, STEP_DEAD, "an item of more than 16 MiB");
	}
	if (!code)
		code = weir_child_call(step->children, line.data, line.len, &answer, &n, WEIR_FOREVER);
	buf_fini(&room);
	switch (code) {
	case 0:
		return judge(call, answer, n);
	case WEIR_ETIMEDOUT:
		return fail_late(call, step->config->timeout);
	case WEIR_EDIED:
		return fail_dead(call, step->config->memory);
	case WEIR_ECANCELED:
		return fail(call, STEP_CANCELED, "cancelled");
	default:
		return fail(call, STEP_RETRY, weir_strerror(code));
	}
}

static void jq_figures(const struct step *step, struct buf *json)
{
	struct weir_child_stats stats = {0};
	if (step->children)
		weir_child_stats(step->children, &stats);
	buf_addf(json, "\"jq_answers\":%llu,\"jq_restarts\":%llu", (unsigned long long)stats.answers,
		 (unsigned long long)stats.restarts);
}

static void jq_close(struct step *step)
{
	weir_child_free(step->children);
	free(step);
}

static const struct step_ops jq_ops = {.open = jq_open, .run = jq_run, .figures = jq_figures, .close = jq_close};

const struct adapter step_jq_adapter = {
	.kind = ADAPTER_STEP,
	.name = "jq",
	.text = "reshapes, multiplies or drops values with a jq program",
	.keys = jq_keys,
	.config_bytes = sizeof(struct jq_config),
	.shorthand = "program",
	.step = &jq_ops,
};
