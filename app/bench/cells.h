/* SPDX-License-Identifier: MIT */
/*
 * The columns of the tables.  To add one: a function that writes its cell, and its row in the table it belongs to.
 */
#ifndef BENCH_CELLS_H
#define BENCH_CELLS_H

#include "bench/report.h"

struct bench_place {
	const struct bench_report *report;
	const struct bench_row *row;
};

struct bench_column {
	const char *over,
		*name; /* two lines of the head; over holds for those that follow, until another, " " for none */
	int width;     /* on a terminal */
	const char *(*write)(const struct bench_place *place, char text[static 32]);
};

/* The tables of a scenario.  Each ends with an all zero column. */
struct bench_tables {
	const struct bench_column *published, *speed, *cost;
	const struct bench_column *times; /* NULL: latencies are not known */
};

struct bench_tables bench_tables_of(const struct bench_scenario *scenario);

/* What must be known of the figures of orders: sentences, then NULL. */
extern const char *const bench_orders_legend[];

bool bench_is_published(const struct bench_place *place);
bool bench_any_published(const struct bench_report *report);

#endif
