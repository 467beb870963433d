/* SPDX-License-Identifier: MIT */
/*
 * When a run resumes: whether what is in the database is what the run has written, by its ledger and by what the state
 * knows (ledger.h).  Pure.
 */
#ifndef SINK_SQLITE_PAST_H
#define SINK_SQLITE_PAST_H

#include "data/value.h"
#include "sqlite/sink/ledger.h"

#include <weir/base.h>

struct sqlite_past {
	const char *path, *table;
	bool has_database, has_table;
	const struct ledger_entry *noted; /* in the ledger */
	bool has_claims;                  /* or in that one (claims.h) */
};

/* 0; WEIR_EINVAL with err: one of the two is an older copy, or rows are missing.  position: what the state knows, NULL:
 * nothing. */
int sqlite_past_check(const struct sqlite_past *past, const struct value *position, struct weir_error *err);

/* Whether it is one: of which batch. */
bool sqlite_past_position(const struct value *position, struct ledger_batch *ret_batch);

#endif
