/* SPDX-License-Identifier: MIT */
/*
 * What a run has done: its figures of each second for an hour, of each minute for a week, of each hour for 90 days, in
 * a file of 2 MB that is never longer.
 *
 * Each time has its place in the file, and takes that of the time an hour, a week or 90 days before.  So there is
 * nothing to move and no end to find: a run that was killed goes on with the next second, and for the time in between
 * there are no rows.  Each row has a checksum, and one that was torn is none.  Nothing is synced: a power cut may cost
 * the last seconds.
 *
 * Of several processes that have it open one adds: the first that does so, and another once that has closed it or
 * ended. All of them may read.
 */
#ifndef OBSERVE_HISTORY_H
#define OBSERVE_HISTORY_H

#include "data/buf.h"

#include <stdbool.h>
#include <stdint.h>
#include <weir/base.h>

enum { HISTORY_FIGURES_MOST = 28 };

/* What a minute has of its seconds. */
enum history_kind { HISTORY_SUM, HISTORY_MEAN, HISTORY_MOST };

struct history_figure {
	const char *name;
	enum history_kind kind;
};

struct history_row {
	int64_t at;     /* when it began, in seconds since 1970 */
	uint32_t looks; /* how many seconds are in it */
	uint32_t sum;   /* a checksum of the row; nothing to its reader */
	float values[HISTORY_FIGURES_MOST];
};

enum history_step { HISTORY_SECOND, HISTORY_MINUTE, HISTORY_HOUR, HISTORY_STEPS };

int64_t history_seconds(enum history_step step);       /* 1, 60 or 3600 */
const char *history_step_name(enum history_step step); /* "1s", "1m", "1h" */
bool history_step_read(const char *name, enum history_step *ret_step);

struct history;

/* Opens the file to add to it, and makes it if need be.  One with other figures than these is begun anew.  The figures
 * are borrowed.  WEIR_ENOMEM, or what the system says. */
int history_open(const char *path, const struct history_figure *figures, size_t n, struct history **ret_history,
		 struct weir_error *err);

/* Opens it to look.  -ENOENT, WEIR_EDATA for what has other figures, and as above. */
int history_look(const char *path, const struct history_figure *figures, size_t n, struct history **ret_history,
		 struct weir_error *err);

void history_close(struct history *history); /* NULL is fine */

/* Adds what was seen in the second `at`: a value for each figure; does nothing while another process adds.  Reads and
 * writes six places of the file, and blocks while it does.  What the system says; then the second is lost, and nothing
 * else. */
int history_add(struct history *history, int64_t at, const float *values);

/* This process adds only while no other one wants to: what that sees is worth more. */
void history_yield(struct history *history);

/* The rows from `since` on, oldest first, as far as they are kept at `now`; malloc'ed.  From any thread, also while
 * another one adds.  WEIR_ENOMEM, or what the system says. */
int history_read(const struct history *history, enum history_step step, int64_t since, int64_t now,
		 struct history_row **ret_rows, size_t *ret_n);

/* Appends them as a JSON object: {"step":60,"columns":["at","looks","read",…],"rows":[[1790000000,60,17,…],…]} */
int history_json(const struct history *history, enum history_step step, int64_t since, int64_t now, struct buf *out);

#endif
