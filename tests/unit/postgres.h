/* SPDX-License-Identifier: MIT */
/*
 * A real PostgreSQL for unit tests: one server for all tests of a run, made by the first that asks (tests/support/
 * postgres), gone with the runner; a database for each test.
 */
#ifndef UNIT_POSTGRES_H
#define UNIT_POSTGRES_H

/* The URL of a new, empty database.  The same one for every call in a test. */
const char *postgres_url(void);

/* Runs SQL in that database and returns the rows as psql -A -t prints them, columns divided by |.  Blocks. */
const char *postgres_sql(const char *format, ...) __attribute__((format(printf, 1, 2)));

/* A server of the test's own, for what others would feel: tests/support/postgres VERB FOLDER [MORE].  Blocks. */
const char *postgres_own(void); /* its folder; the server runs */
void postgres_verb(const char *verb, const char *more);
const char *postgres_own_url(void);

#endif
