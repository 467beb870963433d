/* SPDX-License-Identifier: MIT */
/* `stdout: {}`: each output a line on the standard output.  What was written cannot be taken back, so it is at least
 * once. */
#include "port/adapters.h"
#include "sink/writer.h"

struct stdout_config {
	char unused; /* there is nothing to set; an empty struct is no C */
};

static int open_stdout(const void *config, const struct sink_env *env, struct sink **ret_sink, struct weir_error *err)
{
	(void)config;
	const struct sink_writer_options opts = {.path = "/dev/stdout", .env = env};
	return sink_writer_open(&opts, ret_sink, err);
}

static const struct key keys[] = {{0}};

static const struct sink_ops ops = {
	.open = open_stdout,
	.write = sink_writer_write,
	.close = sink_writer_close,
};

const struct adapter sink_stdout_adapter = {
	.kind = ADAPTER_SINK,
	.name = "stdout",
	.text = "writes JSON lines to the standard output, at least once",
	.keys = keys,
	.config_bytes = sizeof(struct stdout_config),
	.sink = &ops,
};
