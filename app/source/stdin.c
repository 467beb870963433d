/* SPDX-License-Identifier: MIT */
/* `stdin: {}`: lines from the standard input, be it a pipe, a file or a terminal. */
#include "port/adapters.h"
#include "source/text.h"

struct stdin_config {
	int format; /* enum source_format */
};

static int open_stdin(const void *config, struct source **ret_source, struct weir_error *err)
{
	const struct stdin_config *input = config;
	return source_text_open(NULL, (enum source_format)input->format, ret_source, err);
}

static const struct key keys[] = {
	{"format", KEY_ENUM, offsetof(struct stdin_config, format), .fallback = "jsonl", .choices = "jsonl|lines",
	 .text = "what a line is: a JSON value, or text that becomes a string"},
	{0},
};

static const struct source_ops ops = {
	.open = open_stdin,
	.next = source_text_next,
	.total = source_text_total,
	.identify = source_text_identify,
	.resume = source_text_resume,
	.cursor = source_text_cursor,
	.close = source_text_close,
};

const struct adapter source_stdin_adapter = {
	.kind = ADAPTER_SOURCE,
	.name = "stdin",
	.text = "reads lines from the standard input",
	.keys = keys,
	.config_bytes = sizeof(struct stdin_config),
	.shorthand = "format",
	.source = &ops,
};
