/* SPDX-License-Identifier: MIT */
/*
 * Making a connection: each address in turn, each with its share of the time that is left, the socket waited for on the
 * loop.  A server that answers and refuses the user or the database ends the search, one that starts up is asked again.
 *
 * libpq may close its socket and open another one at each step, so the loop's interest in it is renewed for each.  TLS
 * wants a larger stack than fibers have: this runs on a fiber of its own.
 */
#include "postgres/client/internal.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_LIMIT (5 * WEIR_SEC)
#define OLDEST_SERVER 120000
#define STACK_BYTES   ((size_t)256 * 1024)

static const struct weir_backoff backoff = {50 * WEIR_MSEC, 2 * WEIR_SEC, WEIR_JITTER_EQUAL};

/* ---- what libpq says of a failure */

/* "connection to server at … failed: FATAL:  28P01: password authentication failed …" and a line LOCATION, as
 * PQERRORS_VERBOSE has it: the state, and the words after it. */
static const char *find_state(const char *message, char state[6])
{
	memset(state, 0, 6);
	for (const char *at = strstr(message, ":  "); at; at = strstr(at + 1, ":  ")) {
		size_t n = 0;
		while (n < 5 && (isdigit((unsigned char)at[3 + n]) || isupper((unsigned char)at[3 + n])))
			n++;
		if (n == 5 && at[8] == ':' && at[9] == ' ') {
			memcpy(state, at + 3, 5);
			return at + 10;
		}
	}
	return NULL;
}

static const char *advice_of(const char *state)
{
	if (strncmp(state, "28", 2) == 0)
		return "; check user and password in the URL, and pg_hba.conf of the server";
	if (strncmp(state, "3D", 2) == 0)
		return "; create the database, or name another one in the URL";
	if (strcmp(state, "57P03") == 0)
		return "; try again when it has started";
	if (strcmp(state, "53300") == 0)
		return "; raise max_connections, or close other connections";
	return "";
}

static void describe(struct pg *pg)
{
	const char *host = pg->conn ? PQhost(pg->conn) : NULL, *port = pg->conn ? PQport(pg->conn) : NULL;
	const char *user = pg->conn ? PQuser(pg->conn) : NULL, *db = pg->conn ? PQdb(pg->conn) : NULL;
	snprintf(pg->place, sizeof pg->place, "%.60s@%.200s:%.10s/%.60s", user ? user : "", host ? host : "",
		 port ? port : "", db ? db : "");
}

/* libpq's own words for what only another URL mends: a value that is none, a certificate or a key that is not there
 * or not right. */
static bool blames_url(const char *words)
{
	return strncmp(words, "invalid ", 8) == 0 || strstr(words, "certificate") || strstr(words, "private key");
}

static int fail_to_connect(struct pg *pg, struct pg_error *err)
{
	const char *message = PQerrorMessage(pg->conn), *words;
	char state[6];
	words = find_state(message, state);
	bool read_only = !words && (strstr(message, "read-only") || strstr(message, "hot standby"));
	enum pg_fault fault;
	if (words) {
		enum pg_fault said = pg_fault_of(state);
		fault = said == PG_FILE || said == PG_FULL ? said : PG_BUSY;
	} else {
		words = strstr(message, "failed: ");
		words = words ? words + strlen("failed: ") : message;
		fault = blames_url(words) ? PG_FILE : PG_AWAY;
	}
	return pg__fail(err, fault, state, "cannot connect to PostgreSQL as %.200s: %.*s%s%s%s%s", pg->place,
			(int)strcspn(words, "\n"), words, *state ? " (" : "", state, *state ? ")" : "",
			read_only ? "; it is a standby, and rows are written to the primary: name that in the URL"
				  : advice_of(state));
}

/* ---- one address */

static void stop_waiting(struct pg *pg)
{
	weir_io_close(pg->io);
	pg->io = NULL;
}

static int wait_for_socket(struct pg *pg, unsigned events, weir_nsec deadline)
{
	int code = weir_io_open(PQsocket(pg->conn), &pg->io);
	if (!code)
		code = weir_io_wait(pg->io, events, deadline);
	stop_waiting(pg);
	return code < 0 ? code : 0;
}

static PGconn *start_connecting(const struct pg *pg, const struct pg_target *target)
{
	/* What stands before the URL is replaced by it, what stands behind replaces it. */
	const char *keys[12] = {"application_name",     "keepalives_idle", "tcp_user_timeout", "gssencmode",
				"target_session_attrs", "dbname",          "client_encoding"};
	const char *values[12] = {pg->application, "10",  "30000", "disable", pg->opts.reads ? "any" : "read-write",
				  pg->opts.url,    "UTF8"};
	size_t n = 7;
	if (*target->host)
		keys[n] = "host", values[n++] = target->host;
	if (*target->address)
		keys[n] = "hostaddr", values[n++] = target->address;
	if (*target->port)
		keys[n] = "port", values[n++] = target->port;
	return PQconnectStartParams(keys, values, 1);
}

static void ignore_notice(void *arg, const PGresult *notice)
{
	(void)arg, (void)notice;
}

static int follow(struct pg *pg, weir_nsec deadline)
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;
	while (status == PGRES_POLLING_READING || status == PGRES_POLLING_WRITING) {
		int code =
			wait_for_socket(pg, status == PGRES_POLLING_READING ? WEIR_READABLE : WEIR_WRITABLE, deadline);
		if (code)
			return code;
		status = PQconnectPoll(pg->conn);
	}
	return status == PGRES_POLLING_OK ? 0 : WEIR_EAGAIN;
}

static int check_server(struct pg *pg, struct pg_error *err)
{
	int version = PQserverVersion(pg->conn);
	const char *named = PQparameterStatus(pg->conn, "server_version");
	if (version >= OLDEST_SERVER)
		return 0;
	return pg__fail(err, PG_FILE, NULL, "%.200s is PostgreSQL %.40s; weir needs 12 or later", pg->place,
			named ? named : "?");
}

void pg__leave(struct pg *pg)
{
	stop_waiting(pg);
	pg->ready = false;
	PQfinish(pg->conn);
	pg->conn = NULL;
}

static int make_ready(struct pg *pg, struct pg_error *err)
{
	int code = check_server(pg, err);
	if (code)
		return code;
	PQsetErrorVerbosity(pg->conn, PQERRORS_DEFAULT);
	if (PQsetnonblocking(pg->conn, 1) || !PQenterPipelineMode(pg->conn) ||
	    weir_io_open(PQsocket(pg->conn), &pg->io))
		return pg__fail(err, PG_AWAY, NULL, "cannot use the connection to %.200s", pg->place);
	pg->ready = true;
	return 0;
}

static int try_target(struct pg *pg, const struct pg_target *target, struct pg_error *err, weir_nsec deadline)
{
	pg->conn = start_connecting(pg, target);
	if (!pg->conn)
		return pg__fail_here(err, WEIR_ENOMEM);
	describe(pg);
	PQsetNoticeReceiver(pg->conn, ignore_notice, NULL);
	PQsetErrorVerbosity(pg->conn, PQERRORS_VERBOSE);
	int code = PQstatus(pg->conn) == CONNECTION_BAD ? WEIR_EAGAIN : follow(pg, deadline);
	if (code == WEIR_EAGAIN)
		code = fail_to_connect(pg, err);
	else if (code == WEIR_ETIMEDOUT)
		code = pg__fail(
			err, PG_AWAY, NULL,
			"cannot connect to PostgreSQL as %.200s: no answer in time; check host and port in the URL, "
			"and whether a firewall is between",
			pg->place);
	else if (code)
		pg__fail_here(err, code);
	else
		code = make_ready(pg, err);
	if (code)
		pg__leave(pg);
	return code;
}

/* ---- all of them */

static weir_nsec limit_of(const struct pg *pg)
{
	char *text = pg__parameter(pg->opts.url, "connect_timeout");
	const char *fallback = getenv("PGCONNECT_TIMEOUT");
	long seconds = text ? strtol(text, NULL, 10) : fallback ? strtol(fallback, NULL, 10) : 0;
	free(text);
	return seconds > 0 && seconds < 86400 ? seconds * WEIR_SEC : CONNECT_LIMIT;
}

static bool is_final(int code, const struct pg_error *err)
{
	return !code || code == WEIR_ECANCELED || code == WEIR_ENOMEM || err->fault == PG_FILE;
}

static int try_all(struct pg *pg, const struct pg_targets *targets, struct pg_error *err, weir_nsec deadline)
{
	int code = 0;
	for (size_t i = 0; i < targets->n; i++) {
		weir_nsec left = deadline - weir_now();
		code = try_target(pg, &targets->all[i], err, weir_now() + left / (weir_nsec)(targets->n - i));
		if (is_final(code, err))
			break;
	}
	return code;
}

struct connecting {
	struct pg *pg;
	struct pg_error *err;
	weir_nsec deadline;
	int code;
};

static int run_connecting(void *arg)
{
	struct connecting *self = arg;
	struct pg *pg = self->pg;
	struct pg_targets targets;
	weir_nsec wait = 0;
	self->code = pg__find_targets(pg->opts.url, &targets, self->err, self->deadline);
	if (self->code)
		return 0;
	for (unsigned n = 1;; n++) {
		self->code = try_all(pg, &targets, self->err, self->deadline);
		bool starts = self->code && strcmp(self->err->state, "57P03") == 0;
		wait = weir_backoff_wait(&backoff, n, wait, &pg->random);
		if (!starts || weir_now() + wait >= self->deadline || weir_sleep(wait))
			return 0;
	}
}

/* A fiber that is cancelled has its own words; a deadline of the caller's is none of the server's. */
static int make_connection(struct pg *pg, struct pg_error *err, weir_nsec deadline)
{
	static const struct weir_spawn_options big = {.name = "postgres", .stack_bytes = STACK_BYTES};
	weir_nsec limit = weir_now() + limit_of(pg);
	bool ours = deadline == WEIR_FOREVER || limit <= deadline;
	struct connecting self = {.pg = pg, .err = err, .deadline = ours ? limit : deadline, .code = WEIR_ENOMEM};
	struct weir_group *group;
	if (weir_group_new(NULL, &group))
		return pg__fail_here(err, WEIR_ENOMEM);
	int code = weir_group_spawn_with(group, &big, run_connecting, &self, WEIR_FOREVER);
	if (!code)
		code = weir_group_wait(group, WEIR_FOREVER);
	if (code == WEIR_ETIMEDOUT) { /* of a deadline over several calls */
		weir_shield_enter();
		weir_group_cancel(group);
		weir_group_wait(group, WEIR_FOREVER);
		weir_shield_leave();
	}
	weir_group_free(group);
	if (!code)
		return self.code;
	if (!self.code) /* cancelled in the moment of success */
		pg__leave(pg);
	return pg__fail_here(err, code);
}

int pg__connect(struct pg *pg, struct pg_error *err, weir_nsec deadline)
{
	int code = pg->failures && weir_now() < pg->again_at ? weir_sleep_until(pg->again_at) : 0;
	if (code)
		return pg__fail_here(err, code);
	code = make_connection(pg, err, deadline);
	if (!code) {
		pg->failures = 0;
		pg->connections++;
	} else if (code != WEIR_ECANCELED) {
		pg->last_wait = weir_backoff_wait(&backoff, ++pg->failures, pg->last_wait, &pg->random);
		pg->again_at = weir_now() + pg->last_wait;
	}
	return code;
}
