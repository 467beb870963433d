/* SPDX-License-Identifier: MIT */
/* `jsonl: { path: orders.jsonl }`: each line of a file, a JSON value. */
#include "port/adapters.h"
#include "source/text.h"

struct jsonl_config {
	char *path;
};

static int open_jsonl(const void *config, struct source **ret_source, struct weir_error *err)
{
	const struct jsonl_config *jsonl = config;
	return source_text_open(jsonl->path, SOURCE_JSONL, ret_source, err);
}

static const struct key keys[] = {
	{"path", KEY_PATH_IN, offsetof(struct jsonl_config, path), .flags = KEY_REQUIRED,
	 .text = "the file to read; each of its lines is an item, any JSON value"},
	{0},
};

static const struct source_ops ops = {
	.open = open_jsonl,
	.next = source_text_next,
	.total = source_text_total,
	.identify = source_text_identify,
	.resume = source_text_resume,
	.cursor = source_text_cursor,
	.close = source_text_close,
};

const struct adapter source_jsonl_adapter = {
	.kind = ADAPTER_SOURCE,
	.name = "jsonl",
	.text = "reads a file of JSON lines",
	.keys = keys,
	.config_bytes = sizeof(struct jsonl_config),
	.shorthand = "path",
	.source = &ops,
};
