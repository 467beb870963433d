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

/* Each ends with an all zero one. */
extern const struct bench_column bench_published_columns[], bench_published_heap_columns[], bench_speed_columns[],
	bench_time_columns[], bench_cost_columns[];

bool bench_is_published(const struct bench_place *place);
bool bench_any_published(const struct bench_report *report);

#endif
