/* SPDX-License-Identifier: MIT */
/*
 * A pipeline, read from YAML and checked: what the engine runs.  Immutable once loaded.
 */
#ifndef SPEC_PLAN_H
#define SPEC_PLAN_H

#include "data/buf.h"
#include "port/adapter.h"
#include "port/files.h"

#include <weir/process.h>

enum { SPEC_STEPS_MAX = 64 };

/* The class of an item that has none: nobody is less urgent, and aging still brings it to its turn. */
enum { PLAN_CLASS_MOST = 1000000 };

struct plan_adapter {
	const struct adapter *adapter;
	void *config; /* adapter->config_bytes, filled from its keys */
	int line, column;
	int64_t concurrency; /* of a step: most items in it at once; 0: any number */
};

/* Filled from the tables of keys in spec/plan.c, spec/flow.c and spec/idempotency.c, as an adapter's config is from its
 * own. */
struct plan_settings {
	char *name;           /* [A-Za-z0-9_-]+; default: the file's name without its ending */
	struct template *key; /* an item's idempotency key, of values of the item; NULL: run and number */

	/* flow: what is not written follows from the pattern */
	int pattern;                 /* flow.pattern: enum weir_pattern, default auto */
	int64_t concurrency;         /* flow.concurrency: items in the steps at once; 0: found, or all (naive) */
	struct key_rate rate;        /* flow.rate: calls in a time, of each upstream; count 0: none */
	int64_t burst;               /* flow.burst: of them at once after a pause; 0: 1 */
	int64_t retry_attempts;      /* flow.retry.attempts: attempts in all, default 5 */
	weir_nsec retry_backoff[2];  /* flow.retry.backoff: first and largest wait, default 200ms..30s */
	int retry_jitter;            /* flow.retry.jitter: enum weir_jitter */
	double retry_budget;         /* flow.retry.budget: share of retries among the calls in flight, default 20% */
	weir_nsec retry_elapsed;     /* flow.retry.elapsed: no retry later than this after the first attempt; 0: any */
	weir_nsec max_retry_after;   /* flow.retry.max_retry_after: cap on what a server may ask for, default 5m */
	weir_nsec retry_throttled;   /* flow.retry.throttled: longest while others are served, default 10m; 0: any */
	bool breaker_off;            /* flow.breaker: off; then the next ten are not set */
	double breaker_failure_rate; /* flow.breaker.failure_rate: default 50% */
	weir_nsec breaker_window;    /* flow.breaker.window: default 30s */
	int64_t breaker_calls;       /* flow.breaker.calls: with fewer in the window it stays closed, default 20 */
	weir_nsec breaker_open[2];   /* flow.breaker.open: first and largest time that it is open, default 5s..30s */
	int64_t breaker_probes;      /* flow.breaker.probes: default 3 */
	int breaker_when_open;       /* flow.breaker.when_open: enum plan_when_open */
	weir_nsec breaker_slow;      /* flow.breaker.slow: a call that takes longer is slow; 0: none is */
	double breaker_slow_rate;    /* flow.breaker.slow_rate: 0: all of them must be slow */
	double breaker_denied;       /* flow.breaker.denied: share of 401 and 403, default 50%; 0: not looked at */
	weir_nsec breaker_give_up; /* flow.breaker.give_up: items wait so long for an upstream that is down; 0: for ever
				    */
	char *priority_field;      /* flow.priority.field: of the item, its class; NULL: first come, first served */
	weir_nsec priority_aging;  /* flow.priority.aging: 0: 5 s */
	/* flow.priority.sla: of a class, how long its items should wait at most for their first attempt */
	struct key_times priority_sla;
	char *order_by;            /* flow.order_by: items that are equal there go one after the other; NULL */
	uint64_t max_memory;       /* flow.max_memory: 0: any */
	weir_nsec timeout_attempt; /* flow.timeout.attempt: longest time of an attempt; 0: any */
	weir_nsec timeout_queue;   /* flow.timeout.queue: longest wait for the first attempt; 0: any */
	weir_nsec timeout_total;   /* flow.timeout.total: longest from taking an item to its last attempt; 0: any */

	double stop_dead;       /* stop_when.dead: default 50%; 0: never */
	int64_t stop_of_first;  /* stop_when.of_first: default 200 */
	int64_t stop_of_last;   /* stop_when.of_last: default 1000; 0: they are not looked at */
	int64_t stop_in_a_row;  /* stop_when.dead_in_a_row: 0: any number */
	weir_nsec stop_denied;  /* stop_when.denied: default 10m; 0: never */
	int64_t batch_items;    /* sink batch.items: default 500, or the sink's own */
	uint64_t batch_bytes;   /* sink batch.bytes: default 1MiB */
	weir_nsec batch_period; /* sink batch.period: default 20ms */
	int order;              /* sink order: enum plan_order */
	int exactly_once;       /* sink exactly_once: enum plan_exactly_once */
	weir_nsec drain;        /* shutdown.drain: default 30s */

	bool observe_off;     /* observe: off */
	char *observe_listen; /* observe.listen: default 127.0.0.1:0 */
	char *observe_token;  /* observe.token: NULL: none is asked for */
	struct plan_otlp {
		bool off;                   /* observe.otlp: off */
		char *url;                  /* observe.otlp.url; NULL: as the environment says */
		struct key_headers headers; /* observe.otlp.headers: constant */
		double traces;              /* observe.otlp.traces: share that is sampled, default 1% */
		weir_nsec metrics;          /* observe.otlp.metrics: default 10s; 0: never */
		int compression;            /* observe.otlp.compression: enum plan_compression */
	} otlp;
	double ready_depth;       /* observe.ready.depth: 0: any */
	weir_nsec ready_put_wait; /* observe.ready.put_wait: 0: any */
};

enum plan_when_open { WHEN_OPEN_DEFER, WHEN_OPEN_REJECT }; /* the order of the choices of flow.breaker.when_open */

enum plan_compression { COMPRESSION_GZIP, COMPRESSION_NONE }; /* the order of the choices */

enum plan_order { ORDER_COMPLETION, ORDER_SOURCE }; /* the order of the choices of the sink's order */

enum plan_exactly_once { EXACTLY_ONCE_WANTED, EXACTLY_ONCE_REQUIRED }; /* those of the sink's exactly_once */

struct plan {
	char *file;   /* as it was named; "-" or a label for text */
	char *folder; /* of the file: relative paths start here */
	struct plan_settings settings;
	struct plan_adapter source, broker, sink;
	struct plan_adapter dead_letter; /* a sink; adapter NULL: the broker keeps them */
	struct plan_adapter *steps;
	size_t step_count;
	struct files files; /* that it reads and writes, itself among them */
	char *explained;    /* the effective config as YAML: defaults marked, secrets hidden */
	char *warnings;     /* what is allowed, but most often a mistake: lines "FILE:LINE:COLUMN: warning: TEXT" */
	char *meaning;      /* what it does to an item (spec/meaning.h): a run that was begun with another one cannot
			       just resume */
};

struct spec_options {
	const char *jq_path; /* the weir-jq program that checks KEY_JQ; NULL: jq programs are not compiled */
	bool no_source;      /* nobody is going to read the source: its files may be on another machine */
	bool name_only;      /* the plan gets its name and its folder; the rest may be wrong, and is not looked at */
};

/* Reads and checks a file.  On failure one error: err->source, line, column and text, which ends with what was expected
 * and, where a name is close to a known one, "did you mean ...".  WEIR_EINVAL for bad content, WEIR_EDIED when a jq
 * program could not be checked, -ENOENT etc. for the file. Blocks (reads files, runs weir-jq); to be called before the
 * loop or apart from it. */
int spec_load(const char *path, const struct spec_options *opts, struct plan **ret_plan, struct weir_error *err);

/* The same from text; `label` stands for the file name, relative paths start at `folder`. */
int spec_parse(const char *text, size_t n, const char *label, const char *folder, const struct spec_options *opts,
	       struct plan **ret_plan, struct weir_error *err);

void plan_free(struct plan *plan);

/* The reference text of one adapter, for `weir list NAME`: of each key what it may be, its default and what it does, in
 * 80 columns.  And of all adapters, by kind, and all sections, a line or two each.  0 or WEIR_ENOMEM. */
int spec_describe(const struct adapter *adapter, struct buf *out);
int spec_describe_all(struct buf *out);

/* The sections with keys of their own; `batch` is one of the sink.  And the reference text of one. */
struct key;
extern const struct key spec_section_keys[];
int spec_describe_section(const struct key *section, struct buf *out);

#endif
