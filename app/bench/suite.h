/* SPDX-License-Identifier: MIT */
/* All rows of a bench, one after the other. */
#ifndef BENCH_SUITE_H
#define BENCH_SUITE_H

#include "bench/report.h"
#include "bench/run.h"

struct bench_suite {
	const struct bench_scenario *scenario;
	struct bench_load load;
	bool model;
	bool no_recovery;
	bool peers;
	char *const *only; /* names; NULL: all */
	size_t only_count;
	const char *weir; /* the program: its mock is the upstream, and the peers lie beside it */
	char *const *urls;
	size_t url_count;
	weir_nsec duration;
	bool allow_private;
	uint64_t seed;
	const char *url;                /* of the database of orders; NULL: a server is started */
	void (*tell)(const char *line); /* what is being done */
};

/* Blocks.  ret_report: to be freed by bench_suite_free().  WEIR_ENOMEM, WEIR_EIO of the database; with err->text. */
int bench_suite_run(const struct bench_suite *suite, struct bench_report *ret_report, struct weir_error *err);
void bench_suite_free(struct bench_report *report);

#endif
