/* SPDX-License-Identifier: MIT */
/*
 * `jsonl: { path: out.jsonl }`: each output a line of a file.
 * A run starts its file anew by default, as a shell's `>` does: it reads its source from the beginning, so rows that
 * were kept from an earlier run would be there twice.
 */
#include "sink/jsonl.h"

#include "port/adapters.h"
#include "sink/writer.h"

static int open_jsonl(const void *config, const struct sink_env *env, struct sink **ret_sink, struct weir_error *err)
{
	(void)env;
	const struct sink_jsonl_config *jsonl = config;
	return sink_writer_open(jsonl->path, jsonl->on_start == SINK_JSONL_APPEND, ret_sink, err);
}

static const struct key keys[] = {
	{"path", KEY_PATH_OUT, offsetof(struct sink_jsonl_config, path), .flags = KEY_REQUIRED,
	 .text = "the file to write, one JSON value a line; /dev/stdout, a FIFO or a device will do, too"},
	{"on_start", KEY_ENUM, offsetof(struct sink_jsonl_config, on_start), .fallback = "replace",
	 .choices = "replace|append",
	 .text = "what happens to a file that is there: begin anew, or write behind its end"},
	{0},
};

static const struct sink_ops ops = {
	.open = open_jsonl,
	.write = sink_writer_write,
	.close = sink_writer_close,
};

const struct adapter sink_jsonl_adapter = {
	.kind = ADAPTER_SINK,
	.name = "jsonl",
	.text = "writes a file of JSON lines, synced after each batch",
	.keys = keys,
	.config_bytes = sizeof(struct sink_jsonl_config),
	.shorthand = "path",
	.sink = &ops,
};
