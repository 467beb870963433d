/* SPDX-License-Identifier: MIT */
/* `stdin: {}`: lines from the standard input, be it a pipe, a file or a terminal. */
#include "files/text.h"
#include "port/adapters.h"

struct stdin_config {
	int format;   /* its index among the choices */
	int encoding; /* enum charset */
};

static int open_stdin(const void *config, const char *pipeline, struct source **ret_source, struct weir_error *err)
{
	const struct stdin_config *standard = config;
	const struct source_format *format = standard->format ? &source_lines_format : &source_jsonl_format;
	const struct source_input input = {.charset = (enum charset)standard->encoding};
	(void)pipeline;
	return source_text_open(&input, format, NULL, ret_source, err);
}

static const struct key keys[] = {
	{"format", KEY_ENUM, offsetof(struct stdin_config, format), .fallback = "jsonl", .choices = "jsonl|lines",
	 .text = "Format of a line: a JSON value, or text that becomes a string"},
	{"encoding", KEY_ENUM, offsetof(struct stdin_config, encoding), .choices = CHARSET_CHOICES,
	 .text = SOURCE_ENCODING_TEXT},
	{0},
};

static const struct source_ops ops = SOURCE_TEXT_OPS(open_stdin);

const struct adapter source_stdin_adapter = {
	.kind = ADAPTER_SOURCE,
	.name = "stdin",
	.text = "Reads lines from the standard input",
	.keys = keys,
	.config_bytes = sizeof(struct stdin_config),
	.standard = "/dev/stdin",
	.shorthand = "format",
	.source = &ops,
};
