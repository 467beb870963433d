/* SPDX-License-Identifier: MIT */
/*
 * A pipeline, read from YAML and checked: what the engine runs.  Immutable once loaded.
 */
#ifndef SPEC_PLAN_H
#define SPEC_PLAN_H

#include "port/adapter.h"
#include "port/buf.h"

struct plan_adapter {
	const struct adapter *adapter;
	void *config; /* adapter->config_bytes, filled from its keys */
	int line, column;
};

enum plan_jitter { JITTER_FULL, JITTER_NONE }; /* the order of the choices of flow.retry.jitter */

/* Filled from the tables of keys in spec/plan.c, as an adapter's config is from its own. */
struct plan_settings {
	char *name;                 /* [A-Za-z0-9_-]+; default: the file's name without its ending */
	int64_t concurrency;        /* flow.concurrency: items in the steps at once; 1..100000, default 50 */
	int64_t retry_attempts;     /* flow.retry.attempts: tries in all, default 5 */
	weir_nsec retry_backoff[2]; /* flow.retry.backoff: first and largest wait, default 200ms..30s */
	int retry_jitter;           /* flow.retry.jitter: enum plan_jitter */
	weir_nsec max_retry_after;  /* flow.retry.max_retry_after: cap on what a server may ask for, default 5m */
	double stop_dead;           /* stop_when.dead: default 50%; 0: never */
	int64_t stop_of_first;      /* stop_when.of_first: default 200 */
	int64_t batch_items;        /* sink batch.items: default 500 */
	uint64_t batch_bytes;       /* sink batch.bytes: default 1MiB */
	weir_nsec batch_period;     /* sink batch.period: default 20ms */
	weir_nsec drain;            /* shutdown.drain: default 30s */
};

struct plan {
	char *file;   /* as it was named; "-" or a label for text */
	char *folder; /* of the file: relative paths start here */
	struct plan_settings settings;
	struct plan_adapter source, broker, sink;
	struct plan_adapter dead_letter; /* a sink; adapter NULL: the broker keeps them */
	struct plan_adapter *steps;
	size_t step_count;
	char *explained; /* the effective config as YAML: defaults marked, secrets hidden */
	char *meaning;   /* the part of it that says what becomes of an item: a run that was begun with another one
			    cannot just go on.  How fast, how often and in which batches is not in it */
};

struct spec_options {
	const char *jq_path; /* the weir-jq program that checks KEY_JQ; NULL: jq programs are not compiled */
};

/* Reads and checks a file.  On failure one error: err->source, line, column and text, which ends with what was expected
 * and, where a name is close to a known one, "did you mean ...".  WEIR_EINVAL for bad content, -ENOENT etc. for the
 * file. Blocks (reads files, runs weir-jq); to be called before the loop or apart from it. */
int spec_load(const char *path, const struct spec_options *opts, struct plan **ret_plan, struct weir_error *err);

/* The same from text; `label` stands for the file name, relative paths start at `folder`. */
int spec_parse(const char *text, size_t n, const char *label, const char *folder, const struct spec_options *opts,
	       struct plan **ret_plan, struct weir_error *err);

void plan_free(struct plan *plan);

/* The reference text of one adapter, for `weir list NAME`: of each key what it may be, its default and what it does, in
 * 80 columns.  And of all adapters, by kind, a line or two each.  0 or WEIR_ENOMEM. */
int spec_describe(const struct adapter *adapter, struct buf *out);
int spec_describe_all(struct buf *out);

#endif
