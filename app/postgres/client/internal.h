/* SPDX-License-Identifier: MIT */
/* What the files of the client share. */
#ifndef POSTGRES_CLIENT_INTERNAL_H
#define POSTGRES_CLIENT_INTERNAL_H

#include "postgres/client/client.h"

#include <libpq-fe.h>
#include <sys/queue.h>
#include <weir/weir.h>

/* A place to connect to: of each host in the URL, each address. */
struct pg_target {
	char host[256]; /* as written; empty: libpq's default */
	char address[64];
	char port[16]; /* empty: the default */
};

#define PG_TARGETS_MAX 16

struct pg_targets {
	struct pg_target all[PG_TARGETS_MAX];
	size_t n;
};

/* The hosts, addresses and ports of the URL, or of the environment; looks up names.  WEIR_EBUSY with err (PG_AWAY) when
 * no name is known, WEIR_EINVAL (PG_FILE), WEIR_ECANCELED, WEIR_ETIMEDOUT, WEIR_ENOMEM. */
int pg__find_targets(const char *url, struct pg_targets *ret_targets, struct pg_error *err, weir_nsec deadline);

/* The value of a parameter of the URL, malloc'ed; NULL: it is not there. */
char *pg__parameter(const char *url, const char *name);

struct pg {
	struct pg_options opts; /* its texts are ours */
	char *application;      /* application_name */
	PGconn *conn;           /* NULL: there is none */
	struct weir_io *io;     /* of its socket */
	bool ready;             /* it is connected and in pipeline mode */
	unsigned connections;   /* made so far */
	unsigned failures;      /* to connect, since the last success */
	weir_nsec last_wait, again_at;
	uint64_t random;
	struct weir_sem *connecting; /* one at a time */
	struct weir_event *answered; /* set and cleared when there may be news for who does not read himself */
	bool reading;                /* a fiber does */
	unsigned statements;         /* numbers given out */
	STAILQ_HEAD(pg_requests, pg_request) requests; /* sent and not answered, in order */
	char place[400];
};

struct pg_request {
	STAILQ_ENTRY(pg_request) link;
	struct pg_statement *statement; /* that is prepared with it; NULL: none */
	PGresult *result;
	bool done, abandoned;
	struct pg_error failed; /* of the connection, when it broke meanwhile */
};

/* Makes pg->conn: the way there, from pg_connect(). */
int pg__connect(struct pg *pg, struct pg_error *err, weir_nsec deadline);

/* Leaves pg->conn. */
void pg__leave(struct pg *pg);

/* Fills *err and returns the fault's code; control bytes become '?', secrets are hidden. */
int pg__fail(struct pg_error *err, enum pg_fault fault, const char *state, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

/* What is no fault of the server: returns code. */
int pg__fail_here(struct pg_error *err, int code);

#endif
