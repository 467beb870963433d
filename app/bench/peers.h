/* SPDX-License-Identifier: MIT */
/* The same patterns by others, where they are installed: programs in bench/peers, against the same mock. */
#ifndef BENCH_PEERS_H
#define BENCH_PEERS_H

struct bench_database;
struct bench_suite;
struct bench_report;

/* Adds their rows; says by suite->tell() what is missing.  database: of orders, else NULL. */
void bench_peers_run(const struct bench_suite *suite, const struct bench_database *database,
		     struct bench_report *report);

#endif
