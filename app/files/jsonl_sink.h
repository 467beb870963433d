/* SPDX-License-Identifier: MIT */
/* The config of the jsonl sink, for those who open one without a config file: the engine's dead letters. */
#ifndef SINK_JSONL_H
#define SINK_JSONL_H

struct sink_jsonl_config {
	char *path;
	int on_start; /* enum sink_on_start */
};

#endif
