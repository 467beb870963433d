/* SPDX-License-Identifier: MIT */
/*
 * See client.h.  What was sent stands in a line, and is answered in that order:
 *
 *     [prepare] statement sync    [prepare] statement sync    ...
 *
 * Of the fibers that wait for answers one reads, for all: whoever comes first.  When it has its own answer the next one
 * reads.  When the connection breaks, all in the line get the same error.
 */
#include "postgres/client/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/secret.h"

/* ---- opening and closing */

static bool is_url(const char *url)
{
	return strncmp(url, "postgres://", 11) == 0 || strncmp(url, "postgresql://", 13) == 0;
}

/* Names and addresses of this machine, and folders of sockets. */
static bool is_local(const char *hosts)
{
	bool local = true;
	for (const char *at = hosts ? hosts : ""; local && *at;) {
		size_t n = strcspn(at, ",");
		local = !n || *at == '/' || *at == '@' || (n == 9 && !strncmp(at, "localhost", n)) ||
			!strncmp(at, "127.", 4) || (n == 3 && !strncmp(at, "::1", n));
		at += n + (at[n] == ',');
	}
	return local;
}

static int check_tls(const char *url, struct weir_error *err)
{
	char *host = pg__parameter(url, "host"), *mode = pg__parameter(url, "sslmode");
	if (!host)
		host = pg__parameter(url, "hostaddr");
	bool fine = is_local(host) || (mode && strcmp(mode, "verify-full") == 0);
	if (!fine)
		weir_error_set(
			err, WEIR_EINVAL,
			"the connection to %.200s may be read or taken over by others (sslmode=%.20s); add "
			"sslmode=verify-full to the URL, and sslrootcert=PATH unless ~/.postgresql/root.crt has the "
			"certificate",
			host, mode ? mode : "prefer");
	free(host);
	free(mode);
	return !fine;
}

int pg_check_url(const char *url, struct weir_error *err)
{
	char *wrong = NULL;
	if (!is_url(url))
		return weir_error_set(err, WEIR_EINVAL, "expected a URL such as postgres://user@host:5432/database");
	PQconninfoOption *options = PQconninfoParse(url, &wrong);
	int code = 0;
	if (!options) {
		char text[300];
		snprintf(text, sizeof text, "%.*s", wrong ? (int)strcspn(wrong, "\n") : 0, wrong ? wrong : "");
		secret_hide_text(text);
		code = weir_error_set(err, WEIR_EINVAL, "%s", *text ? text : "out of memory");
	}
	PQconninfoFree(options);
	PQfreemem(wrong);
	return code ? code : check_tls(url, err);
}

/* Messages hold the URL's user and host, and never a password, nor that of a key (sslpassword). */
static int hide_passwords(const char *url)
{
	static const char *const names[] = {"password", "sslpassword"};
	int code = 0;
	for (size_t i = 0; i < sizeof names / sizeof *names && !code; i++) {
		char *password = pg__parameter(url, names[i]);
		code = password ? secret_add(password, strlen(password)) : 0;
		free(password);
	}
	return code;
}

static void free_pg(struct pg *pg)
{
	weir_sem_free(pg->connecting);
	weir_event_free(pg->answered);
	free((char *)(uintptr_t)pg->opts.url);
	free(pg->application);
	free(pg);
}

static int init_pg(struct pg *pg, const struct pg_options *opts)
{
	pg->opts = *opts;
	pg->opts.name = NULL;
	pg->opts.url = strdup(opts->url);
	pg->random = (uint64_t)weir_clock() ^ (uint64_t)(uintptr_t)pg;
	STAILQ_INIT(&pg->requests);
	snprintf(pg->place, sizeof pg->place, "PostgreSQL");
	int n = opts->name ? asprintf(&pg->application, "weir/%s", opts->name) : asprintf(&pg->application, "weir");
	if (n < 0)
		pg->application = NULL;
	if (n < 0 || !pg->opts.url || weir_sem_new(1, &pg->connecting) || weir_event_new(&pg->answered))
		return WEIR_ENOMEM;
	return hide_passwords(opts->url);
}

int pg_open(const struct pg_options *opts, struct pg **ret_pg, struct weir_error *err)
{
	struct pg *pg;
	int code = pg_check_url(opts->url, err);
	if (code < 0)
		return code;
	pg = calloc(1, sizeof *pg);
	code = pg ? init_pg(pg, opts) : WEIR_ENOMEM;
	if (code) {
		if (pg)
			free_pg(pg);
		return weir_error_set(err, code, "%s", weir_strerror(code));
	}
	*ret_pg = pg;
	return 0;
}

/* ---- the line of what was sent */

static void free_request(struct pg_request *request)
{
	PQclear(request->result);
	free(request);
}

/* Hands the first in the line back to who waits for it. */
static void finish_first(struct pg *pg)
{
	struct pg_request *request = STAILQ_FIRST(&pg->requests);
	STAILQ_REMOVE_HEAD(&pg->requests, link);
	request->done = true;
	if (request->abandoned)
		free_request(request);
}

static void tell(struct pg *pg)
{
	weir_event_set(pg->answered);
	weir_event_clear(pg->answered);
}

static void drop_connection(struct pg *pg, const struct pg_error *why)
{
	pg__leave(pg);
	while (!STAILQ_EMPTY(&pg->requests)) {
		struct pg_request *request = STAILQ_FIRST(&pg->requests);
		request->failed = *why;
		finish_first(pg);
	}
	tell(pg);
}

void pg_disconnect(struct pg *pg)
{
	struct pg_error why;
	pg__fail(&why, PG_AWAY, NULL, "the connection to %.200s was closed", pg->place);
	if (pg->ready)
		drop_connection(pg, &why);
}

void pg_close(struct pg *pg)
{
	if (!pg)
		return;
	pg_disconnect(pg);
	free_pg(pg);
}

static void lose_connection(struct pg *pg)
{
	const char *message = PQerrorMessage(pg->conn);
	struct pg_error why;
	pg__fail(&why, PG_AWAY, NULL, "lost the connection to %.200s: %.*s", pg->place,
		 *message ? (int)strcspn(message, "\n") : 6, *message ? message : "closed");
	drop_connection(pg, &why);
}

int pg_connect(struct pg *pg, struct pg_error *err, weir_nsec deadline)
{
	if (pg->ready)
		return 0;
	int code = weir_sem_acquire(pg->connecting, 1, deadline);
	if (code)
		return pg__fail_here(err, code);
	if (!pg->ready)
		code = pg__connect(pg, err, deadline);
	weir_sem_release(pg->connecting, 1);
	return code;
}

bool pg_is_connected(const struct pg *pg)
{
	return pg->ready;
}

const char *pg_place(const struct pg *pg)
{
	return pg->place;
}

unsigned pg_connections(const struct pg *pg)
{
	return pg->connections;
}

/* ---- sending */

static int put_statement(struct pg *pg, struct pg_statement *statement, const struct pg_value *values,
			 struct pg_request *request)
{
	Oid types[PG_PARAMETERS_MAX] = {0};
	const char *bytes[PG_PARAMETERS_MAX];
	int lengths[PG_PARAMETERS_MAX], formats[PG_PARAMETERS_MAX], n = (int)statement->parameters;
	char name[24];
	for (int i = 0; i < n; i++) {
		types[i] = (Oid)statement->types[i];
		bytes[i] = values[i].bytes;
		lengths[i] = (int)values[i].n;
		formats[i] = values[i].binary;
	}
	if (statement->once || pg->opts.unprepared)
		return PQsendQueryParams(pg->conn, statement->sql, n, types, bytes, lengths, formats, 0);
	if (!statement->number)
		statement->number = ++pg->statements;
	snprintf(name, sizeof name, "weir_%u", statement->number);
	if (statement->prepared != pg->connections) {
		if (!PQsendPrepare(pg->conn, name, statement->sql, n, types))
			return 0;
		statement->prepared = pg->connections;
		request->statement = statement;
	}
	return PQsendQueryPrepared(pg->conn, name, n, bytes, lengths, formats, 0);
}

int pg_send(struct pg *pg, struct pg_statement *statement, const struct pg_value *values, struct pg_call *ret_call,
	    struct pg_error *err, weir_nsec deadline)
{
	int code = pg_connect(pg, err, deadline);
	if (code)
		return code;
	struct pg_request *request = calloc(1, sizeof *request);
	if (!request)
		return pg__fail_here(err, WEIR_ENOMEM);
	STAILQ_INSERT_TAIL(&pg->requests, request, link);
	if (!put_statement(pg, statement, values, request) || !PQpipelineSync(pg->conn) || PQflush(pg->conn) < 0)
		lose_connection(pg);
	else if (pg->reading)
		weir_io_wake(pg->io); /* who reads sends the rest */
	*ret_call = (struct pg_call){request};
	return 0;
}

/* ---- receiving */

/* A statement whose preparation failed is not prepared; what follows it in its group was not tried. */
static void take_result(struct pg_request *request, PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	bool failed = request->result && PQresultStatus(request->result) == PGRES_FATAL_ERROR;
	if (status == PGRES_FATAL_ERROR && request->statement)
		request->statement->prepared = 0;
	request->statement = NULL;
	if (failed || status == PGRES_PIPELINE_ABORTED) {
		PQclear(result);
		return;
	}
	PQclear(request->result);
	request->result = result;
}

/* Takes what has come.  False: the connection is gone. */
static bool take_results(struct pg *pg)
{
	while (pg->ready && !STAILQ_EMPTY(&pg->requests) && !PQisBusy(pg->conn)) {
		PGresult *result = PQgetResult(pg->conn);
		if (!result)
			continue; /* what ends each statement's results */
		if (PQresultStatus(result) == PGRES_PIPELINE_SYNC) {
			PQclear(result);
			finish_first(pg);
			tell(pg);
			continue;
		}
		take_result(STAILQ_FIRST(&pg->requests), result);
		if (PQstatus(pg->conn) == CONNECTION_BAD)
			return false;
	}
	return true;
}

/* One step: sends what is left to send, waits, takes what has come. */
static int step(struct pg *pg, weir_nsec deadline)
{
	int unsent = PQflush(pg->conn);
	int code = unsent < 0 ? 0 : weir_io_wait(pg->io, WEIR_READABLE | (unsent ? WEIR_WRITABLE : 0u), deadline);
	if (code == WEIR_ECLOSED || !pg->ready) /* another fiber has left the connection */
		return 0;
	if (code < 0)
		return code;
	if (unsent < 0 || !PQconsumeInput(pg->conn) || !take_results(pg))
		lose_connection(pg);
	return 0;
}

static int wait_for(struct pg *pg, const struct pg_request *request, weir_nsec deadline)
{
	int code = 0;
	while (!request->done && !code) {
		if (pg->reading) {
			code = weir_event_wait(pg->answered, deadline);
			continue;
		}
		pg->reading = true;
		if (!take_results(pg))
			lose_connection(pg);
		while (!request->done && !code)
			code = step(pg, deadline);
		pg->reading = false;
		tell(pg);
	}
	return request->done ? 0 : code;
}

static int fail_by_result(const struct pg *pg, const PGresult *result, struct pg_error *err)
{
	const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *column = PQresultErrorField(result, PG_DIAG_COLUMN_NAME);
	if (!state) /* libpq's own */
		return pg__fail(err, PG_AWAY, NULL, "lost the connection to %.200s: %.*s", pg->place,
				(int)strcspn(PQresultErrorMessage(result), "\n"), PQresultErrorMessage(result));
	int code = pg__fail(err, pg_fault_of(state), state, "%.400s (%s)", message ? message : "", state);
	snprintf(err->column, sizeof err->column, "%s", column ? column : "");
	return code;
}

static bool is_good(const PGresult *result)
{
	ExecStatusType status = PQresultStatus(result);
	return status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
}

int pg_receive(struct pg *pg, struct pg_call *call, struct pg_result **ret_result, struct pg_error *err,
	       weir_nsec deadline)
{
	struct pg_request *request = call->request;
	if (!request) /* nothing was sent */
		return pg__fail_here(err, WEIR_EINVAL);
	int code = wait_for(pg, request, deadline);
	call->request = NULL;
	if (code) {
		request->abandoned = true;
		return pg__fail_here(err, code);
	}
	if (request->failed.fault) {
		*err = request->failed;
		code = pg_code_of(err->fault);
	} else if (!request->result || !is_good(request->result)) {
		code = request->result ? fail_by_result(pg, request->result, err) : pg__fail_here(err, WEIR_ENOMEM);
	} else if (ret_result) {
		*ret_result = request->result;
		request->result = NULL;
	}
	free_request(request);
	return code;
}

int pg_run(struct pg *pg, struct pg_statement *statement, const struct pg_value *values, struct pg_result **ret_result,
	   struct pg_error *err, weir_nsec deadline)
{
	struct pg_call call = {0};
	int code = pg_send(pg, statement, values, &call, err, deadline);
	return code ? code : pg_receive(pg, &call, ret_result, err, deadline);
}

int pg_do(struct pg *pg, const char *sql, struct pg_result **ret_result, struct pg_error *err, weir_nsec deadline)
{
	struct pg_statement statement = {.sql = sql, .once = true};
	return pg_run(pg, &statement, NULL, ret_result, err, deadline);
}

/* ---- results */

int pg_rows(const struct pg_result *result)
{
	return PQntuples(result);
}

int pg_columns(const struct pg_result *result)
{
	return PQnfields(result);
}

const char *pg_column(const struct pg_result *result, int column)
{
	return PQfname(result, column);
}

enum pg_type pg_column_type(const struct pg_result *result, int column)
{
	return (enum pg_type)PQftype(result, column);
}

const char *pg_text(const struct pg_result *result, int row, int column)
{
	return PQgetisnull(result, row, column) ? NULL : PQgetvalue(result, row, column);
}

size_t pg_length(const struct pg_result *result, int row, int column)
{
	return (size_t)PQgetlength(result, row, column);
}

int64_t pg_number(const struct pg_result *result, int row, int column)
{
	const char *text = pg_text(result, row, column);
	return text ? strtoll(text, NULL, 10) : 0;
}

int64_t pg_affected(const struct pg_result *result)
{
	return strtoll(PQcmdTuples((PGresult *)(uintptr_t)result), NULL, 10);
}

void pg_free(struct pg_result *result)
{
	PQclear(result);
}
