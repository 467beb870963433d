/* SPDX-License-Identifier: MIT */
/*
 * `jsonl: { path: out.jsonl }`: each output a line of a file.  A run that resumes continues in its file, exactly
 * (files/output.h).
 */
#include "files/jsonl_sink.h"

#include "files/writer.h"
#include "port/adapters.h"

static int open_jsonl(const void *config, const struct sink_env *env, struct sink **ret_sink, struct weir_error *err)
{
	const struct sink_jsonl_config *jsonl = config;
	const struct sink_writer_options opts = {
		.path = jsonl->path,
		.on_start = (enum sink_on_start)jsonl->on_start,
		.env = env,
	};
	return sink_writer_open(&opts, ret_sink, err);
}

static const struct key keys[] = {
	{"path", KEY_PATH_OUT, offsetof(struct sink_jsonl_config, path), .flags = KEY_REQUIRED,
	 .text = "The file to write, one JSON value a line; compressed if its name ends in .gz or .zst. To "
		 "/dev/stdout, a FIFO or a device a line may be written twice after a crash"},
	{"on_start", KEY_ENUM, offsetof(struct sink_jsonl_config, on_start), .fallback = "refuse", .flags = KEY_PACE,
	 .choices = SINK_ON_START_CHOICES, .text = SINK_ON_START_TEXT},
	{0},
};

static const struct sink_ops ops = SINK_WRITER_OPS(open_jsonl, NULL, NULL);

const struct adapter sink_jsonl_adapter = {
	.kind = ADAPTER_SINK,
	.name = "jsonl",
	.text = "Writes a file of JSON lines, synced after each batch; exactly one line per output, even after a crash",
	.keys = keys,
	.config_bytes = sizeof(struct sink_jsonl_config),
	.shorthand = "path",
	.sink = &ops,
};
