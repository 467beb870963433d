/* SPDX-License-Identifier: MIT */
/*
 * See client.h; weir-jq.c tells the protocol.
 *
 * An input is one line there: line breaks between tokens become blanks; inside JSON strings there are none.  The
 * program
 * "." is not run: the value passes as it is.  A child that takes too long is killed together with the one input that
 * made it so.  One that dies leaves its input to be tried once more: it may have been killed from outside.
 *
 * libjq parses what comes from upstreams, so its process is not trusted: each answer has the number of its request and
 * must be JSON, or it is none.
 */
#include "jq/client.h"

#include "data/json.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	LINE_MOST = 16 * 1024 * 1024 - 1, /* what weir-jq takes, without the newline */
	SEPARATOR = 0x1e,
	ANSWER_MOST = 10 * 1024 * 1024, /* what weir-jq sends; and next */
	MESSAGE_MOST = 240,
};

#define AFTER_MOST_MS (366ull * 24 * 3600 * 1000)

struct jq_client {
	struct weir_child *children; /* NULL: the program is "." */
	bool vars;                   /* the program sees $source and $meta */
	int64_t max_outputs;
	weir_nsec timeout;
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

/* No JSON text begins so. */
static bool is_failure(const char *answer, size_t n)
{
	return n && (answer[0] == '!' || answer[0] == '?');
}

/* Whether the n bytes of an answer are outputs, or a failure as weir-jq writes it. */
static bool is_answer(void *arg, const char *answer, size_t n)
{
	const struct jq_client *client = arg;
	if (is_failure(answer, n))
		return n <= MESSAGE_MOST && json_utf8_valid(answer, n);
	int64_t outputs = 0;
	for (const char *at = answer, *end = answer + n; n && at <= end;) {
		const char *stop = memchr(at, SEPARATOR, (size_t)(end - at));
		struct json *json;
		if (!stop)
			stop = end;
		if (++outputs > client->max_outputs || json_parse(at, (size_t)(stop - at), &json, NULL))
			return false;
		bool changed = json_changed(json);
		json_free(json);
		if (changed)
			return false;
		at = stop + 1;
	}
	return true;
}

static int start_children(struct jq_client *client, const struct jq_client_options *opts, struct weir_error *err)
{
	char *path = helper_path(opts->exe_path);
	if (!path)
		return weir_error_set(err, WEIR_ENOMEM, "jq: out of memory");
	char most[32];
	snprintf(most, sizeof most, "%lld", (long long)opts->max_outputs);
	const char *argv[] = {path, most, client->vars ? "--vars" : NULL, NULL};
	const struct weir_child_options pool = {
		.argv = argv,
		.processes = opts->workers,
		.flags = WEIR_CHILD_NUMBERED,
		.preamble = opts->program, /* with its NUL */
		.preamble_bytes = strlen(opts->program) + 1,
		.check = is_answer,
		.arg = client,
		.answer_bytes = ANSWER_MOST,
		.memory_bytes = opts->memory,
		.time_limit = opts->timeout,
		.start_limit = opts->timeout + 2 * WEIR_SEC,
	};
	int code = weir_child_new(&pool, &client->children);
	if (code)
		weir_error_set(err, code, "jq: cannot start %s: %s", path, weir_strerror(code));
	free(path);
	return code;
}

int jq_client_new(const struct jq_client_options *opts, struct jq_client **ret_client, struct weir_error *err)
{
	struct jq_client *client = calloc(1, sizeof *client);
	if (!client)
		return weir_error_set(err, WEIR_ENOMEM, "jq: out of memory");
	client->vars = strstr(opts->program, "$source") || strstr(opts->program, "$meta");
	client->max_outputs = opts->max_outputs;
	client->timeout = opts->timeout;
	int code = is_identity(opts->program) ? 0 : start_children(client, opts, err);
	if (code) {
		free(client);
		return code;
	}
	*ret_client = client;
	return 0;
}

void jq_client_free(struct jq_client *client)
{
	if (client)
		weir_child_free(client->children);
	free(client);
}

void jq_client_stats(const struct jq_client *client, struct weir_child_stats *ret_stats)
{
	*ret_stats = (struct weir_child_stats){0};
	if (client->children)
		weir_child_stats(client->children, ret_stats);
}

bool jq_reads_meta(const char *program)
{
	return strstr(program, "$meta") != NULL;
}

/* A socket and a pidfd for each child, and a third one while it starts. */
unsigned jq_client_held(unsigned workers)
{
	return 2 * workers + 1;
}

/* ---- a run */

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
static int write_request(const struct jq_client *client, const struct step_call *call, const struct value *input,
			 struct buf *room, struct value *ret_line)
{
	if (!client->vars && !memchr(input->data, '\n', input->len)) {
		*ret_line = (struct value){.data = input->data, .len = input->len};
		return 0;
	}
	add_folded(room, input);
	if (client->vars) {
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

/* The attempt's time is up, which may have gone elsewhere: the input is not to blame. */
static bool is_out_of_time(const struct step_call *call)
{
	weir_nsec deadline = call->permit ? call->permit->deadline : WEIR_FOREVER;
	return deadline != WEIR_FOREVER && deadline <= weir_now();
}

static enum step_verdict fail_for_now(struct step_call *call)
{
	return step_say(call, STEP_RETRY, "timeout: the attempt took too long (flow.timeout.attempt)");
}

/* "!message", or "?after message" of one that asks to try again. */
static enum step_verdict judge_failure(struct step_call *call, const char *answer)
{
	char *message;
	if (answer[0] == '!')
		return fail(call, STEP_DEAD, answer + 1);
	unsigned long long ms = strtoull(answer + 1, &message, 10);
	call->rejects = true;
	call->after = (weir_nsec)(ms < AFTER_MOST_MS ? ms : AFTER_MOST_MS) * WEIR_MSEC;
	return fail(call, STEP_RETRY, message + (*message == ' '));
}

/* Takes the answer over. */
static enum step_verdict judge(struct step_call *call, char *answer, size_t n, struct value_list *outputs)
{
	if (n && !is_failure(answer, n))
		return add_outputs(outputs, answer, n) ? fail(call, STEP_RETRY, "out of memory") : STEP_OK;
	enum step_verdict verdict = n ? judge_failure(call, answer) : STEP_OK;
	free(answer);
	return verdict;
}

static enum step_verdict pass_through(struct step_call *call, const struct value *input, struct value_list *outputs)
{
	struct value value;
	int code = value_hand_on(&value, input);
	if (!code)
		code = value_list_take(outputs, &value);
	return code ? fail(call, STEP_RETRY, "out of memory") : STEP_OK;
}

enum step_verdict jq_client_run(struct jq_client *client, struct step_call *call, const struct value *input,
				struct value_list *outputs)
{
	if (!client->children)
		return pass_through(call, input, outputs);
	struct buf room = {0};
	struct value line;
	struct weir_error err;
	char *answer;
	size_t n;
	err.text[0] = 0;     /* the rest of it is not looked at */
	value_forget(input); /* it may wait long for its turn */
	int code = write_request(client, call, input, &room, &line);
	if (!code && line.len > LINE_MOST) {
		buf_fini(&room);
		return fail(call, STEP_DEAD, "an item over 16 MiB");
	}
	if (!code)
		code = weir_child_call(client->children, line.data, line.len, &answer, &n, &err, WEIR_FOREVER);
	buf_fini(&room);
	switch (code) {
	case 0:
		return judge(call, answer, n, outputs);
	case WEIR_ETIMEDOUT:
		return is_out_of_time(call) ? fail_for_now(call) : fail_late(call, client->timeout);
	case WEIR_EDIED:
		return fail(call, STEP_DEAD, err.text);
	case WEIR_ECANCELED:
		return fail(call, STEP_CANCELED, "cancelled");
	default:
		return fail(call, STEP_RETRY, weir_strerror(code));
	}
}
