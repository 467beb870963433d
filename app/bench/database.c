/* SPDX-License-Identifier: MIT */
/*
 * Another process, the guard, is the parent of the server.  It reads from a pipe that nobody writes to: when the last
 * one who holds the other end is gone, it ends the server or drops the table, removes the folder and ends, too.  So
 * nothing is left after Ctrl-C, or a kill.
 *
 * It runs psql for each statement, so the bench needs no PostgreSQL client.
 */
#include "bench/database.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench/child.h"
#include "bench/server.h"

#define COLUMNS "id, customer, created, total"

/* ---- psql */

/* Runs one or two commands; text: what it prints. */
static int run_psql(const struct bench_database *database, const char *first, const char *second, char *text,
		    size_t room, struct weir_error *err)
{
	const char *url = getenv("DATABASE_URL");
	const char *const sets[] = {"LC_ALL", "C", "PGCONNECT_TIMEOUT", "5", NULL};
	const char *const words[] = {database->psql, "-XqAtv", "ON_ERROR_STOP=1",    "-d",   url ? url : "",
				     "-c",           first,    second ? "-c" : NULL, second, NULL};
	const struct bench_child child = {.words = words, .sets = sets, .errors = true};
	if (bench_child_run(&child, text, room) == 0)
		return 0;
	return weir_error_set(err, WEIR_EIO, "psql: %s", text[0] ? text : "it does not start");
}

int bench_database_clear(const struct bench_database *database, struct weir_error *err)
{
	char drop[96], create[256], text[400];
	snprintf(drop, sizeof drop, "DROP TABLE IF EXISTS %s", database->table);
	snprintf(create, sizeof create,
		 "CREATE TABLE %s (id bigint PRIMARY KEY, customer text, created timestamptz, total numeric)",
		 database->table);
	return run_psql(database, drop, create, text, sizeof text, err);
}

int bench_database_count(const struct bench_database *database, uint64_t *ret_rows, struct weir_error *err)
{
	char count[96], text[400];
	snprintf(count, sizeof count, "SELECT count(*) FROM %s", database->table);
	int code = run_psql(database, count, NULL, text, sizeof text, err);
	if (!code)
		*ret_rows = strtoull(text, NULL, 10);
	return code;
}

int bench_database_copy(const struct bench_database *database, const char *file, weir_nsec *ret_took,
			struct weir_error *err)
{
	char copy[256], text[400];
	double ms;
	snprintf(copy, sizeof copy, "\\copy %s (" COLUMNS ") FROM '%s' WITH (FORMAT csv, HEADER)", database->table,
		 file);
	int code = run_psql(database, "\\timing on", copy, text, sizeof text, err);
	if (code)
		return code;
	const char *line = strstr(text, "Time: ");
	if (!line || sscanf(line, "Time: %lf ms", &ms) != 1)
		return weir_error_set(err, WEIR_EIO, "psql: no time, but: %s", text);
	*ret_took = (weir_nsec)(ms * 1e6);
	return 0;
}

/* ---- the guard */

/* What it says when it has made everything ready, or could not. */
struct word {
	struct weir_error err;
	struct bench_server server;
};

static void drop_table(const struct bench_database *database)
{
	char drop[96], text[400];
	snprintf(drop, sizeof drop, "DROP TABLE IF EXISTS %s", database->table);
	run_psql(database, drop, NULL, text, sizeof text, NULL);
}

/* Nothing that this process has open may stay open in one that outlives it. */
static void leave_descriptors(int life, int out)
{
	unsigned low = (unsigned)(life < out ? life : out), high = (unsigned)(life < out ? out : life);
	int none = open("/dev/null", O_RDWR | O_CLOEXEC);
	for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		dup2(none, fd);
	if (low > STDERR_FILENO + 1)
		close_range(STDERR_FILENO + 1, low - 1, 0);
	if (high > low + 1)
		close_range(low + 1, high - 1, 0);
	close_range(high + 1, ~0u, 0);
}

static void guard(const struct bench_database *database, const char *url, int life, int out)
{
	struct word word = {0};
	char byte;
	setsid(); /* Ctrl-C is for the others */
	signal(SIGPIPE, SIG_IGN);
	leave_descriptors(life, out);
	if (!url)
		bench_server_start(&word.server, database->folder, &word.err);
	bool told = write(out, &word, sizeof word) == (ssize_t)sizeof word; /* a pipe takes as much as one */
	close(out);
	while (told && read(life, &byte, 1) < 0 && errno == EINTR)
		;
	if (url)
		drop_table(database);
	bench_server_stop(&word.server);
	bench_child_remove(database->folder);
	_exit(0);
}

static int hear(int from, struct weir_error *err)
{
	struct word word;
	ssize_t n;
	do
		n = read(from, &word, sizeof word);
	while (n < 0 && errno == EINTR);
	if (n != (ssize_t)sizeof word)
		return weir_error_set(err, WEIR_EIO, "the process that starts PostgreSQL has died");
	if (word.err.code)
		return weir_error_set(err, WEIR_EIO, "%s", word.err.text);
	if (word.server.url[0]) {
		setenv("DATABASE_URL", word.server.url, 1);
		setenv("PGPASSWORD", word.server.password, 1);
	}
	return 0;
}

static int start_guard(struct bench_database *database, const char *url, struct weir_error *err)
{
	int life[2], words[2];
	if (pipe2(life, O_CLOEXEC) < 0)
		return weir_error_set(err, WEIR_EIO, "no pipe: %s", strerror(errno));
	database->life = life[1];
	if (pipe2(words, O_CLOEXEC) < 0) {
		close(life[0]);
		return weir_error_set(err, WEIR_EIO, "no pipe: %s", strerror(errno));
	}
	database->guard = fork();
	if (database->guard == 0)
		guard(database, url, life[0], words[1]);
	close(life[0]);
	close(words[1]);
	int code = database->guard < 0 ? weir_error_set(err, WEIR_EIO, "no process: %s", strerror(errno))
				       : hear(words[0], err);
	close(words[0]);
	return code;
}

/* ---- */

int bench_database_open(const char *url, struct bench_database *ret_database, struct weir_error *err)
{
	struct bench_database database = {.life = -1, .psql = bench_child_find_postgres("psql")};
	if (!database.psql)
		return weir_error_set(err, WEIR_EIO,
				      "PostgreSQL's psql is not installed; install it (Debian: postgresql-15, or "
				      "postgresql-client-15 with --url)");
	if (!bench_child_folder(!url, database.folder)) {
		free(database.psql);
		return weir_error_set(err, WEIR_EIO, "no temporary folder %s: %s", database.folder, strerror(errno));
	}
	snprintf(database.table, sizeof database.table, "weir_bench_orders_%ld", (long)getpid());
	if (url)
		setenv("DATABASE_URL", url, 1);
	int code = start_guard(&database, url, err);
	if (!code)
		code = bench_database_clear(&database, err);
	if (code)
		bench_database_close(&database);
	else
		*ret_database = database;
	return code;
}

void bench_database_close(struct bench_database *database)
{
	if (database->life >= 0)
		close(database->life);
	if (database->guard > 0)
		bench_child_wait(database->guard);
	else
		bench_child_remove(database->folder);
	free(database->psql);
	*database = (struct bench_database){.life = -1};
}
