/* SPDX-License-Identifier: MIT */
/* `lines: { path: urls.txt }`: each line of a file, as a JSON string. */
#include "port/adapters.h"
#include "source/text.h"

struct lines_config {
	char *path;
};

static int open_lines(const void *config, struct source **ret_source, struct weir_error *err)
{
	const struct lines_config *lines = config;
	return source_text_open(lines->path, SOURCE_LINES, ret_source, err);
}

static const struct key keys[] = {
	{"path", KEY_PATH_IN, offsetof(struct lines_config, path), .flags = KEY_REQUIRED,
	 .text = "the file to read; each of its lines is an item, a string"},
	{0},
};

static const struct source_ops ops = {
	.open = open_lines,
	.next = source_text_next,
	.total = source_text_total,
	.identify = source_text_identify,
	.resume = source_text_resume,
	.cursor = source_text_cursor,
	.close = source_text_close,
};

const struct adapter source_lines_adapter = {
	.kind = ADAPTER_SOURCE,
	.name = "lines",
	.text = "reads a text file, each line a string",
	.keys = keys,
	.config_bytes = sizeof(struct lines_config),
	.shorthand = "path",
	.source = &ops,
};
