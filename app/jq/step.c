/* SPDX-License-Identifier: MIT */
/*
 * The step `jq`: runs a jq program on each value, in weir-jq children (jq/weir-jq.c tells the protocol).
 *
 * An item is one line there: line breaks between tokens become blanks; inside JSON strings there are none.  The program
 * "." is not run: the value passes as it is.  A child that takes too long is killed together with the one item that
 * made it so.  One that dies leaves its item to be tried once more: it may have been killed from outside.
 *
 * libjq parses what comes from upstreams, so its process is not trusted: each answer has the number of its request and
 * must be JSON, or it is none.
 *
 * One child is the default: at 13 us an item it is faster than one loop fetches them, and it then has a core of its
 * own beside the loop.  More only help with programs that take longer.
 */
#include "data/json.h"
#include "data/json_writer.h"
#include "port/adapter.h"
#include "port/adapters.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/child.h>

enum {
	LINE_MOST = 16 * 1024 * 1024 - 1, /* what weir-jq takes, without the newline */
	SEPARATOR = 0x1e,
	ANSWER_MOST = 10 * 1024 * 1024, /* what weir-jq sends; and next */
	MESSAGE_MOST = 220,
};

struct jq_config {
	char *program;
	int64_t workers;
	weir_nsec timeout;
	uint64_t memory;
	int64_t max_outputs;
};

struct jq_step {
	const struct jq_config *config;
	struct weir_child *children; /* NULL: the program is "." */
	bool vars;                   /* the program sees $source and $meta */
};

#define FIELD(name) offsetof(struct jq_config, name)

static const struct key jq_keys[] = {
	{"program", KEY_JQ, FIELD(program), .flags = KEY_REQUIRED,
	 .text = "The jq program. No output drops the item, several outputs become several rows. $source is the item "
		 "as it was read; $meta has position, key and attempt, and status, headers, url and latency_ms of the "
		 "last http step"},
	{"workers", KEY_COUNT, FIELD(workers), "1", 1, 64, .flags = KEY_PACE,
	 .text = "Number of child processes that run the program"},
	{"timeout", KEY_DURATION, FIELD(timeout), "1s", WEIR_MSEC, 24 * 3600 * WEIR_SEC, .flags = KEY_PACE,
	 .text = "Maximum time for one item"},
	{"memory", KEY_SIZE, FIELD(memory), "256MiB", (int64_t)16 << 20, (int64_t)1 << 40, .flags = KEY_PACE,
	 .text = "Maximum memory (address space) of a child process"},
	{"max_outputs", KEY_COUNT, FIELD(max_outputs), "100000", 1, 10000000, .flags = KEY_PACE,
	 .text = "Maximum outputs of one item; together they may have 10 MiB"},
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

/* Whether the n bytes of an answer are outputs, or an error as weir-jq writes it. */
static bool is_answer(void *arg, const char *answer, size_t n)
{
	const struct jq_config *config = arg;
	if (n && answer[0] == '!')
		return n <= MESSAGE_MOST && json_utf8_valid(answer, n);
	int64_t outputs = 0;
	for (const char *at = answer, *end = answer + n; n && at <= end;) {
		const char *stop = memchr(at, SEPARATOR, (size_t)(end - at));
		struct json *json;
		if (!stop)
			stop = end;
		if (++outputs > config->max_outputs || json_parse(at, (size_t)(stop - at), &json, NULL))
			return false;
		bool changed = json_changed(json);
		json_free(json);
		if (changed)
			return false;
		at = stop + 1;
	}
	return true;
}

static int start_children(struct jq_step *step, const struct step_env *env, struct weir_error *err)
{
	const struct jq_config *config = step->config;
	char *path = helper_path(env->exe_path);
	if (!path)
		return weir_error_set(err, WEIR_ENOMEM, "jq: out of memory");
	char most[32];
	snprintf(most, sizeof most, "%lld", (long long)config->max_outputs);
	const char *argv[] = {path, most, step->vars ? "--vars" : NULL, NULL};
	const struct weir_child_options opts = {
		.argv = argv,
		.processes = (unsigned)config->workers,
		.flags = WEIR_CHILD_NUMBERED,
		.preamble = config->program, /* with its NUL */
		.preamble_bytes = strlen(config->program) + 1,
		.check = is_answer,
		.arg = (void *)(uintptr_t)config,
		.answer_bytes = ANSWER_MOST,
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
	struct jq_step *step = calloc(1, sizeof *step);
	if (!step)
		return weir_error_set(err, WEIR_ENOMEM, "jq: out of memory");
	step->config = config;
	step->vars = strstr(step->config->program, "$source") || strstr(step->config->program, "$meta");
	int code = is_identity(step->config->program) ? 0 : start_children(step, env, err);
	if (code) {
		free(step);
		return code;
	}
	*ret_step = (struct step *)step;
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
static int write_request(const struct jq_step *step, const struct step_call *call, struct buf *room,
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
		buf_add_char(room, SEPARATOR);
		struct buf meta = {0};
		step_put_meta(call, &meta);
		buf_add(room, meta.data, meta.len);
		room->failed = room->failed || meta.failed;
		buf_fini(&meta);
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
	snprintf(call->why, sizeof call->why, "jq: %.250s", text);
	return verdict;
}

static enum step_verdict fail_late(struct step_call *call, weir_nsec timeout)
{
	bool seconds = timeout % WEIR_SEC == 0;
	snprintf(call->why, sizeof call->why, "jq: over %lld %s",
		 (long long)(timeout / (seconds ? WEIR_SEC : WEIR_MSEC)), seconds ? "s" : "ms");
	return STEP_DEAD;
}

/* What was said of the input holds for its outputs. */
static int pass_meta(struct step_call *call, size_t first)
{
	int code = 0;
	for (size_t i = first; i < call->outputs->n && !code && call->input->meta; i++)
		code = value_copy_meta(&call->outputs->values[i], call->input);
	return code;
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
	int code = value_hand_on(&value, call->input);
	if (!code)
		code = value_list_take(call->outputs, &value);
	return code ? fail(call, STEP_RETRY, "out of memory") : STEP_OK;
}

static enum step_verdict run_value(struct jq_step *step, struct step_call *call)
{
	if (!step->children)
		return pass_through(call);
	struct buf room = {0};
	struct value line;
	struct weir_error err;
	char *answer;
	size_t n;
	err.text[0] = 0; /* the rest of it is not looked at */
	int code = write_request(step, call, &room, &line);
	if (!code && line.len > LINE_MOST) {
		buf_fini(&room);
		return fail(call, STEP_DEAD, "an item over 16 MiB");
	}
	if (!code)
		code = weir_child_call(step->children, line.data, line.len, &answer, &n, &err, WEIR_FOREVER);
	buf_fini(&room);
	switch (code) {
	case 0:
		return judge(call, answer, n);
	case WEIR_ETIMEDOUT:
		return fail_late(call, step->config->timeout);
	case WEIR_EDIED:
		return fail(call, STEP_DEAD, err.text);
	case WEIR_ECANCELED:
		return fail(call, STEP_CANCELED, "cancelled");
	default:
		return fail(call, STEP_RETRY, weir_strerror(code));
	}
}

static enum step_verdict jq_run(struct step *handle, struct step_call *call)
{
	struct jq_step *step = (struct jq_step *)handle;
	size_t before = call->outputs->n;
	enum step_verdict verdict = run_value(step, call);
	if (verdict == STEP_OK && pass_meta(call, before))
		verdict = fail(call, STEP_RETRY, "out of memory");
	if (step_wants_evidence(call, verdict))
		evidence_add_text(call->evidence, "input", call->input->data, call->input->len);
	return verdict;
}

static void jq_figures(const struct step *handle, struct buf *json)
{
	const struct jq_step *step = (const struct jq_step *)handle;
	struct weir_child_stats stats = {0};
	if (step->children)
		weir_child_stats(step->children, &stats);
	json_put_uint(json, "jq_answers", stats.answers);
	json_put_uint(json, "jq_restarts", stats.restarts);
}

static bool jq_reads_meta(const void *config)
{
	return strstr(((const struct jq_config *)config)->program, "$meta") != NULL;
}

static void jq_close(struct step *handle)
{
	struct jq_step *step = (struct jq_step *)handle;
	weir_child_free(step->children);
	free(step);
}

/* A socket and a pidfd for each child, and a third one while it starts. */
static unsigned jq_held(const void *arg)
{
	const struct jq_config *config = arg;
	return 2 * (unsigned)config->workers + 1;
}

static const struct step_ops jq_ops = {
	.open = jq_open,
	.run = jq_run,
	.figures = jq_figures,
	.held = jq_held,
	.reads_meta = jq_reads_meta,
	.close = jq_close,
};

const struct adapter step_jq_adapter = {
	.kind = ADAPTER_STEP,
	.name = "jq",
	.text = "Reshapes, multiplies or drops values with a jq program",
	.keys = jq_keys,
	.config_bytes = sizeof(struct jq_config),
	.shorthand = "program",
	.step = &jq_ops,
};
