/* SPDX-License-Identifier: MIT */
/* `stdout: {}`: each output a line on the standard output.  What was written cannot be taken back, so it is at least
 * once. */
#include "files/writer.h"
#include "port/adapters.h"

static int open_stdout(const void *config, const struct sink_env *env, struct sink **ret_sink, struct weir_error *err)
{
	(void)config;
	const struct sink_writer_options opts = {.path = "/dev/stdout", .env = env};
	return sink_writer_open(&opts, ret_sink, err);
}

static const struct sink_ops ops = SINK_WRITER_OPS(open_stdout, NULL, NULL);

const struct adapter sink_stdout_adapter = {
	.kind = ADAPTER_SINK,
	.name = "stdout",
	.text = "Writes JSON lines to the standard output; after a crash a line may be written twice",
	.standard = "/dev/stdout",
	.sink = &ops,
};
