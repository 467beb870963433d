/* SPDX-License-Identifier: MIT */
/*
 * `jsonl: { path: out.jsonl }`: each output a line of a file.
 * A run starts its file anew by default, as a shell's `>` does: it reads its source from the beginning, so rows that
 * were kept from an earlier run would be there twice.  A run that goes on goes on in its file, exactly (sink/file.h).
 */
#include "sink/jsonl.h"

#include "port/adapters.h"
#include "sink/writer.h"

static int open_jsonl(const void *config, const struct sink_env *env, struct sink **ret_sink, struct weir_error *err)
{
	const struct sink_jsonl_config *jsonl = config;
	const struct sink_writer_options opts = {
		.path = jsonl->path,
		.append = jsonl->on_start == SINK_JSONL_APPEND,
		.env = env,
	};
	return sink_writer_open(&opts, ret_sink, err);
}

static const struct key keys[] = {
	{"path", KEY_PATH_OUT, offsetof(struct sink_jsonl_config, path), .flags = KEY_REQUIRED,
	 .text = "the file to write, one JSON value a line; /dev/stdout, a FIFO or a device will do, too, "
		 "at least once"},
	{"on_start", KEY_ENUM, offsetof(struct sink_jsonl_config, on_start), .fallback = "replace",
	 .choices = "replace|append",
	 .text = "what happens to a file that is there when a run begins: begin anew, or write behind its end; a run "
		 "that goes on finds its place in either case"},
	{0},
};

static const struct sink_ops ops = {
	.open = open_jsonl,
	.write = sink_writer_write,
	.close = sink_writer_close,
	.exact = sink_writer_exact,
	.position = sink_writer_position,
};

const struct adapter sink_jsonl_adapter = {
	.kind = ADAPTER_SINK,
	.name = "jsonl",
	.text = "writes a file of JSON lines, synced after each batch; each line once, also when a run is killed and "
		"goes on",
	.keys = keys,
	.config_bytes = sizeof(struct sink_jsonl_config),
	.shorthand = "path",
	.sink = &ops,
};
