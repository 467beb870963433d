/* SPDX-License-Identifier: MIT */
/* What became of an item of a trial (trial_note.h), for people. */
#ifndef CMD_TRIAL_SHOW_H
#define CMD_TRIAL_SHOW_H

#include "data/json.h"
#include "data/terminal.h"
#include "spec/plan.h"

struct trial_view {
	const struct plan *plan;
	const char *sink; /* where its rows go: "orders.db, table orders"; NULL: its name will do */
	struct terminal terminal;
};

/* Appends lines that a terminal may show as they are. */
void trial_show(const struct trial_view *view, const struct json *item, struct buf *out);

#endif
