/* SPDX-License-Identifier: MIT */
/*
 * The durable store's oracle: every item that ever was, in an array, and what must be told of it; and a source of
 * random batches that are right.  Compared with a store it asks for all that can be asked.
 */
#ifndef UNIT_STORE_MODEL_H
#define UNIT_STORE_MODEL_H

#include "sqlite/store/store.h"

#define MODEL_RUN "0123456789abcdef0123456789abcdef"

enum model_state { MODEL_UNFINISHED, MODEL_SETTLED, MODEL_LETTER };

struct model_item {
	uint64_t id, position;
	uint64_t number; /* that of its key */
	enum model_state state;
	bool bad, retried;
	unsigned attempts;
	int64_t due_unix_ns;
	char why[64], source[64];
	char evidence[96]; /* of a letter; empty: none */
	char *history;     /* "at" is always T; NULL: none */
};

struct model {
	struct model_item *items;
	size_t n;
	uint64_t next_chunk, position;
	struct broker_accounts accounts;
	bool sealed;
	struct source_cursor cursor;
	char positions[OUTLETS][32];
};

void model_fini(struct model *model);
struct model model_copy(const struct model *model);

/* Starts a run afresh, in both. */
void model_start(struct model *model, struct store *store);

/* One random call that changes something: its code.  The model has the change in it if the code is 0;
 * without a store it always has. */
int model_step(struct model *model, struct store *store, uint64_t *random, struct weir_error *err);

/* What is different, or NULL. */
const char *model_compare(const struct model *model, struct store *store);

#endif
