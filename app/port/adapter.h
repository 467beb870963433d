/* SPDX-License-Identifier: MIT */
/*
 * An adapter: one kind of source, broker, step or sink.  Its file defines one `const struct adapter`, the registry
 * (cmd/registry.c) lists it.  Adapters know the ports, <weir/weir.h> and their one helper; never each other or the
 * engine.
 */
#ifndef PORT_ADAPTER_H
#define PORT_ADAPTER_H

#include "port/broker.h"
#include "port/key.h"
#include "port/sink.h"
#include "port/source.h"
#include "port/step.h"

enum adapter_kind { ADAPTER_SOURCE, ADAPTER_BROKER, ADAPTER_STEP, ADAPTER_SINK };

struct adapter {
	enum adapter_kind kind;
	const char *name;       /* as in the config */
	const char *text;       /* what it does, one sentence without a final stop */
	const struct key *keys; /* ends with a row whose name is NULL */
	size_t config_bytes;
	const char *standard;  /* "/dev/stdin" or "/dev/stdout" when it reads or writes that; NULL */
	const char *shorthand; /* the key that a plain value stands for (`- jq: '.x'`); NULL: a map is needed */
	/* What the rows cannot say (two keys that exclude each other): a negative code with err->text and *ret_key, the
	 * key to blame; NULL: none.  1 with both for what is allowed, but most often a mistake.  May be NULL.  No I/O.
	 */
	int (*check)(const void *config, const char **ret_key, struct weir_error *err);
	union { /* by kind */
		const struct source_ops *source;
		const struct broker_ops *broker;
		const struct step_ops *step;
		const struct sink_ops *sink;
	};
};

/* All adapters, ended by NULL. */
extern const struct adapter *const adapter_registry[];

const struct adapter *adapter_find(enum adapter_kind kind, const char *name);
const char *adapter_kind_name(enum adapter_kind kind); /* "source", … */

#endif
