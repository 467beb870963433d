/* SPDX-License-Identifier: MIT */
#include "unit/postgres.h"

#include "support/test.h"

#include <fcntl.h>
#include <libpq-fe.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#define OUTPUT_MAX 65536

/* Runs the script and returns what it printed. */
static const char *run_script(const char *verb, const char *folder, const char *more)
{
	static char output[OUTPUT_MAX]; /* for a fiber's stack it is too much */
	char command[600];
	setenv("WEIR_TEST_SQL", more ? more : "", 1);
	snprintf(command, sizeof command, "exec %s/tests/support/postgres %s %s \"$WEIR_TEST_SQL\" 2>&1",
		 WEIR_TEST_TREE, verb, folder);
	FILE *pipe = popen(command, "re");
	ck_assert_ptr_nonnull(pipe);
	size_t n = fread(output, 1, sizeof output - 1, pipe);
	output[n] = 0;
	int status = pclose(pipe);
	ck_assert_msg(status == 0, "postgres %s: %s", verb, output);
	return test_format("%s", output);
}

static const char *read_url(const char *folder)
{
	char url[200] = "";
	FILE *file = fopen(test_format("%s/url", folder), "re");
	setenv("PGCONNECT_TIMEOUT", "60", 1); /* a machine that runs tests is busy */
	if (!file)
		return NULL;
	if (!fgets(url, sizeof url, file))
		url[0] = 0;
	fclose(file);
	url[strcspn(url, "\n")] = 0;
	return *url ? test_format("%s", url) : NULL;
}

/* Of the runner, whose child each test is.  Tests of one runner come one after the other. */
static const char *shared_folder(void)
{
	return test_format("/tmp/weir-test-postgres-%d", (int)getppid());
}

/* Appends the rows of an answer to `out` as psql -A -t prints them. */
static void print_rows(FILE *out, const PGresult *answer)
{
	for (int row = 0; row < PQntuples(answer); row++)
		for (int column = 0; column < PQnfields(answer); column++)
			fprintf(out, "%s%c", PQgetvalue(answer, row, column),
				column + 1 < PQnfields(answer) ? '|' : '\n');
}

static void ignore_notice(void *arg, const PGresult *notice)
{
	(void)arg, (void)notice;
}

/* Runs the SQL and returns what it answered.  Blocks. */
static const char *run_sql(const char *url, const char *sql)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);
	PGconn *connection = PQconnectdb(url);
	PQsetNoticeReceiver(connection, ignore_notice, NULL);
	ck_assert_msg(PQsendQuery(connection, sql), "%s: %s", sql, PQerrorMessage(connection));
	PGresult *answer;
	while ((answer = PQgetResult(connection))) {
		ck_assert_msg(PQresultStatus(answer) == PGRES_COMMAND_OK || PQresultStatus(answer) == PGRES_TUPLES_OK,
			      "%s: %s", sql, PQresultErrorMessage(answer));
		print_rows(out, answer);
		PQclear(answer);
	}
	PQfinish(connection);
	ck_assert_int_eq(fclose(out), 0);
	const char *kept = test_format("%s", text);
	free(text);
	return kept;
}

/* The URL of another database of the server. */
static const char *url_of(const char *folder, const char *name)
{
	const char *url = read_url(folder);
	return test_format("%.*s/%s", (int)(strrchr(url, '/') - url), url, name);
}

static const char *database(void)
{
	static char name[40];
	if (name[0])
		return name;
	const char *folder = shared_folder();
	if (!read_url(folder))
		run_script("new", folder, test_format("%d", (int)getppid()));
	snprintf(name, sizeof name, "test_%d", (int)getpid());
	run_sql(read_url(folder), test_format("CREATE DATABASE %s", name));
	return name;
}

const char *postgres_url(void)
{
	const char *name = database();
	return url_of(shared_folder(), name);
}

const char *postgres_sql(const char *format, ...)
{
	char *sql = NULL;
	va_list args;
	va_start(args, format);
	ck_assert_int_ge(vasprintf(&sql, format, args), 0);
	va_end(args);
	const char *answer = run_sql(postgres_url(), sql);
	free(sql);
	return answer;
}

const char *postgres_own(void)
{
	const char *folder = test_format("%s/own", test_folder());
	if (!read_url(folder))
		run_script("new", folder, test_format("%d", (int)getpid()));
	return folder;
}

const char *postgres_own_url(void)
{
	return read_url(postgres_own());
}

void postgres_verb(const char *verb, const char *more)
{
	run_script(verb, postgres_own(), more);
}
