/* SPDX-License-Identifier: MIT */
/* All that was run, and how it is written down. */
#ifndef BENCH_REPORT_H
#define BENCH_REPORT_H

#include "bench/result.h"
#include "bench/scenario.h"

struct buf;

enum { BENCH_ROWS_MOST = 32 };

struct bench_row {
	const struct bench_variant *variant;
	const char *peer; /* "asyncio" ...; NULL: weir */
	bool run;         /* the result is there */
	struct bench_result result;
	struct bench_recovery recovery; /* of the run with the fault */
};

struct bench_report {
	const struct bench_scenario *scenario;
	struct bench_load load; /* of this run */
	bool own_urls;          /* nothing is known of their times */
	bool model;
	const char *mode; /* "virtual clock", "real sockets" ... */
	char machine[160];
	char when[32];
	uint64_t seed;
	size_t count;
	struct bench_row *rows;
};

/* The bound of this run's row; what it allows at most in a second, with the tail where that is known (with own URLs it
 * is not); and what the row did (NAN: unknown). */
void bench_row_bound(const struct bench_report *report, const struct bench_row *row, struct bench_bound *ret_bound);
double bench_row_at_most(const struct bench_report *report, const struct bench_row *row);
double bench_row_per_sec(const struct bench_row *row);

/* "queue", or "queue (asyncio)". */
const char *bench_row_name(const struct bench_row *row, char text[static 64]);

void bench_write_text(const struct bench_report *report, struct buf *out); /* 80 columns */
void bench_write_csv(const struct bench_report *report, struct buf *out);
void bench_write_json(const struct bench_report *report, struct buf *out);
void bench_write_html(const struct bench_report *report, struct buf *out);

#endif
