/* SPDX-License-Identifier: MIT */
/*
 * The database of `weir bench orders`: on a server that it starts, or on the user's; with a table for the rows of one
 * run after the other, and a temporary folder for whatever a run needs.  All of it is gone soon after this process has
 * ended, however that ends.
 *
 * Children of this process find the server by DATABASE_URL, the password, if it is not in there, by PGPASSWORD.
 */
#ifndef BENCH_DATABASE_H
#define BENCH_DATABASE_H

#include <sys/types.h>
#include <weir/base.h>

struct bench_database {
	char folder[64];
	char table[48];
	char *psql;
	pid_t guard; /* cleans up when `life`, the other end of which it has, is closed */
	int life;
};

/* url NULL: starts a server.  Blocks, for some seconds.  WEIR_EIO with err->text; nothing is left to close then. */
int bench_database_open(const char *url, struct bench_database *ret_database, struct weir_error *err);
void bench_database_close(struct bench_database *database);

/* An empty table: id bigint, its key, customer text, created timestamptz, total numeric. */
int bench_database_clear(const struct bench_database *database, struct weir_error *err);

/* How many rows the table has.  WEIR_EIO with err->text. */
int bench_database_count(const struct bench_database *database, uint64_t *ret_rows, struct weir_error *err);

/* COPY of a CSV file, with a head, into the table; how long that took, without connecting. */
int bench_database_copy(const struct bench_database *database, const char *file, weir_nsec *ret_took,
			struct weir_error *err);

#endif
