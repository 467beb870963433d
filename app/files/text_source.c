/* SPDX-License-Identifier: MIT */
/* `jsonl: { path: orders.jsonl }`: each line of a file, a JSON value; `lines: { path: urls.txt }`: as a JSON string. */
#include "files/text.h"
#include "port/adapters.h"

struct text_config {
	char *path;
	int encoding; /* enum charset */
};

static int open_text(const struct text_config *config, const struct source_format *format, struct source **ret_source,
		     struct weir_error *err)
{
	const struct source_input input = {.path = config->path, .charset = (enum charset)config->encoding};
	return source_text_open(&input, format, NULL, ret_source, err);
}

static int open_jsonl(const void *config, const char *pipeline, struct source **ret_source, struct weir_error *err)
{
	(void)pipeline;
	return open_text(config, &source_jsonl_format, ret_source, err);
}

static int open_lines(const void *config, const char *pipeline, struct source **ret_source, struct weir_error *err)
{
	(void)pipeline;
	return open_text(config, &source_lines_format, ret_source, err);
}

#define KEYS(what)                                                                                                     \
	{                                                                                                              \
		{"path", KEY_PATH_IN, offsetof(struct text_config, path), .flags = KEY_REQUIRED | KEY_PATTERN,         \
		 .text = "The file to read. Each line is an item, " what                                               \
			 ". Several files are read in the order of their "                                             \
			 "names; gzip and zstd files are decompressed"},                                               \
			{"encoding", KEY_ENUM, offsetof(struct text_config, encoding), .choices = CHARSET_CHOICES,     \
			 .text = SOURCE_ENCODING_TEXT},                                                                \
		{                                                                                                      \
			0                                                                                              \
		}                                                                                                      \
	}

static const struct key jsonl_keys[] = KEYS("any JSON value"), lines_keys[] = KEYS("a string");
static const struct source_ops jsonl_ops = SOURCE_TEXT_OPS(open_jsonl), lines_ops = SOURCE_TEXT_OPS(open_lines);

const struct adapter source_jsonl_adapter = {
	.kind = ADAPTER_SOURCE,
	.name = "jsonl",
	.text = "Reads a file of JSON lines",
	.keys = jsonl_keys,
	.config_bytes = sizeof(struct text_config),
	.shorthand = "path",
	.source = &jsonl_ops,
};

const struct adapter source_lines_adapter = {
	.kind = ADAPTER_SOURCE,
	.name = "lines",
	.text = "Reads a text file, each line a string",
	.keys = lines_keys,
	.config_bytes = sizeof(struct text_config),
	.shorthand = "path",
	.source = &lines_ops,
};
