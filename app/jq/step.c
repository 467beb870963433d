/* SPDX-License-Identifier: MIT */
/* The step `jq`: runs a jq program on each value (client.h). */
#include "data/json_writer.h"
#include "jq/client.h"
#include "port/adapter.h"
#include "port/adapters.h"

#include <stdlib.h>

struct jq_config {
	char *program;
	int64_t workers;
	weir_nsec timeout;
	uint64_t memory;
	int64_t max_outputs;
};

struct jq_step {
	struct jq_client *client;
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

static int jq_open(const void *arg, const struct step_env *env, struct step **ret_step, struct weir_error *err)
{
	const struct jq_config *config = arg;
	struct jq_step *step = calloc(1, sizeof *step);
	if (!step)
		return weir_error_set(err, WEIR_ENOMEM, "jq: out of memory");
	const struct jq_client_options opts = {.program = config->program,
					       .exe_path = env->exe_path,
					       .workers = (unsigned)config->workers,
					       .timeout = config->timeout,
					       .memory = config->memory,
					       .max_outputs = config->max_outputs};
	int code = jq_client_new(&opts, &step->client, err);
	if (code) {
		free(step);
		return code;
	}
	*ret_step = (struct step *)step;
	return 0;
}

/* What was said of the input holds for its outputs. */
static int pass_meta(struct step_call *call, size_t first)
{
	int code = 0;
	for (size_t i = first; i < call->outputs->n && !code && call->input->meta; i++)
		code = value_copy_meta(&call->outputs->values[i], call->input);
	return code;
}

static enum step_verdict jq_run(struct step *handle, struct step_call *call)
{
	struct jq_step *step = (struct jq_step *)handle;
	size_t before = call->outputs->n;
	enum step_verdict verdict = jq_client_run(step->client, call, call->input, call->outputs);
	if (verdict == STEP_OK && pass_meta(call, before))
		verdict = step_say(call, STEP_RETRY, "jq: out of memory");
	if (step_wants_evidence(call, verdict))
		evidence_add_text(call->evidence, "input", call->input->data, call->input->len);
	return verdict;
}

static void jq_figures(const struct step *handle, struct buf *json)
{
	const struct jq_step *step = (const struct jq_step *)handle;
	struct weir_child_stats stats;
	jq_client_stats(step->client, &stats);
	json_put_uint(json, "jq_answers", stats.answers);
	json_put_uint(json, "jq_restarts", stats.restarts);
}

static bool reads_meta(const void *config)
{
	return jq_reads_meta(((const struct jq_config *)config)->program);
}

static void jq_close(struct step *handle)
{
	struct jq_step *step = (struct jq_step *)handle;
	jq_client_free(step->client);
	free(step);
}

static unsigned jq_held(const void *arg)
{
	const struct jq_config *config = arg;
	return jq_client_held((unsigned)config->workers);
}

static const struct step_ops jq_ops = {
	.open = jq_open,
	.run = jq_run,
	.figures = jq_figures,
	.held = jq_held,
	.reads_meta = reads_meta,
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
