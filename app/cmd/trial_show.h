/* SPDX-License-Identifier: MIT */
/* What is noted of the items of a trial, for people, as it comes. */
#ifndef CMD_TRIAL_SHOW_H
#define CMD_TRIAL_SHOW_H

#include "cmd/trial.h"
#include "data/json.h"
#include "data/terminal.h"

struct trial_view {
	const struct plan *plan;
	const char *sink; /* where its rows go: "orders.db, table orders"; NULL: its name will do */
	struct terminal terminal;

	/* Of the item that is shown; all zero at first. */
	int64_t step; /* the last one */
	size_t runs;  /* of it, and of these the last ones that are not shown */
	size_t skipped;
	bool failed; /* it has, in its last run */
};

/* Appends lines that a terminal may show as they are. */
void trial_show(struct trial_view *view, enum trial_event event, const struct json *json, struct buf *out);

#endif
