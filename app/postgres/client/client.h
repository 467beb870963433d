/* SPDX-License-Identifier: MIT */
/*
 * A connection to a PostgreSQL server, which is made when it is needed and again after it broke.
 *
 * Several statements may be on their way at a time (libpq's pipeline mode): pg_send() sends one, pg_receive() waits for
 * its answer; they are answered in the order in which they were sent.  Each is a transaction of its own unless BEGIN
 * came before.  A statement whose connection broke may have been carried out or not: who sends it again must be sure
 * that this does no harm.  The session has no state but prepared statements.
 *
 * Calls belong on fibers of the loop that opened it; the socket is waited for there, and only the look-up of a host has
 * a thread.  All may be called by several fibers; a transaction of several statements is for one that has the
 * connection to itself.
 */
#ifndef POSTGRES_CLIENT_H
#define POSTGRES_CLIENT_H

#include <stddef.h>
#include <stdint.h>
#include <weir/base.h>

struct pg;
struct pg_result; /* libpq's PGresult */

/* Whose fault it is that a statement failed, and so what helps.  Beside it the code that calls return. */
enum pg_fault {
	PG_FINE,
	PG_ROW,      /* WEIR_EDATA: of the data; again is in vain */
	PG_CONFLICT, /* WEIR_EBUSY: deadlock, serialization; the whole transaction again, at once */
	PG_BUSY,     /* WEIR_EBUSY: the server has no room, is locked, starts or stops; later */
	PG_AWAY,     /* WEIR_EBUSY: there is no connection; later */
	PG_FULL,     /* WEIR_ENOSPC: its disk is full */
	PG_FILE,     /* WEIR_EINVAL: of the config: a password, a name, a privilege, SQL, too old a server */
	PG_ODD,      /* WEIR_EIO: an internal error, or no memory: perhaps of the data */
	PG_OTHER,    /* WEIR_EIO; or WEIR_ECANCELED, WEIR_ETIMEDOUT, WEIR_ENOMEM of this process */
};

struct pg_error {
	enum pg_fault fault;
	char state[6];   /* SQLSTATE; empty: the server has not said it */
	char column[64]; /* that the server blames; empty: none */
	char text[512];  /* one sentence without a final stop, no secret in it */
};

/* By SQLSTATE, five characters.  Pure. */
enum pg_fault pg_fault_of(const char *state);
int pg_code_of(enum pg_fault fault);

struct pg_options {
	const char *url;  /* postgres://user@host:port/database?parameter=value…, with every parameter of libpq */
	const char *name; /* of the pipeline: the server shows "weir/NAME"; NULL: "weir" */
	bool reads;       /* a server that takes no writes will do */
	bool unprepared;  /* no prepared statements, as for a pooler that gives each transaction another session */
};

/* Whether the URL is one, for when a file is read: WEIR_EINVAL with err->text.  1 with err->text when it is fine, but
 * would send a password to another machine without proof that it is the right one.  No I/O. */
int pg_check_url(const char *url, struct weir_error *err);

/* Copies the options, connects to nobody yet.  The passwords in the URL are hidden in texts from now on.  WEIR_EINVAL,
 * WEIR_ENOMEM. */
int pg_open(const struct pg_options *opts, struct pg **ret_pg, struct weir_error *err);

/* Ends what is on its way.  NULL is fine.  Contract: no fiber is in a call.  Does not suspend. */
void pg_close(struct pg *pg);

/* Connects unless it is connected: within 5 s, or `connect_timeout` of the URL or the environment; after a failure it
 * first waits a while, which grows from 50 ms to 2 s.  The codes of enum pg_fault, WEIR_ECANCELED, WEIR_ETIMEDOUT. */
int pg_connect(struct pg *pg, struct pg_error *err, weir_nsec deadline);

/* Whether there is a connection, so that pg_send() does not suspend. */
bool pg_is_connected(const struct pg *pg);

/* Leaves the connection at once, what is on its way gets PG_AWAY: the server rolls back an open transaction. */
void pg_disconnect(struct pg *pg);

/* "weir@127.0.0.1:5432/orders": of the last connection, or of the URL.  Borrowed, until the next call of any kind. */
const char *pg_place(const struct pg *pg);

/* How many connections there were so far: who has a transaction under way compares it. */
unsigned pg_connections(const struct pg *pg);

#define PG_PARAMETERS_MAX 16

/* Types of parameters (what is sent in binary has to name its own) and of columns.  The numbers are part of the
 * protocol; there are many more. */
enum pg_type {
	PG_ANY = 0,
	PG_BOOL = 16,
	PG_BYTEA = 17,
	PG_NAME = 19,
	PG_INT8 = 20,
	PG_INT2 = 21,
	PG_INT4 = 23,
	PG_TEXT = 25,
	PG_JSON = 114,
	PG_JSONS = 199, /* an array, as the next */
	PG_INT8S = 1016,
	PG_FLOAT4 = 700,
	PG_FLOAT8 = 701,
	PG_BPCHAR = 1042,
	PG_VARCHAR = 1043,
	PG_NUMERIC = 1700,
	PG_UUID = 2950,
	PG_JSONB = 3802,
};

/* SQL with $1, $2 …, prepared once a connection.  Zeroed but for the first three; at a place of its own as long as the
 * connection is open. */
struct pg_statement {
	const char *sql;
	unsigned parameters;
	enum pg_type types[PG_PARAMETERS_MAX];
	bool once;         /* not worth preparing */
	unsigned number;   /* the client's: its name on the server */
	unsigned prepared; /* the client's: in which connection */
};

struct pg_value {
	const void *bytes; /* NULL: the SQL null.  Text ends with a NUL, which `n` does not count */
	size_t n;
	bool binary;
};

/* A statement on its way.  Its memory is the caller's until pg_receive(). */
struct pg_call {
	struct pg_request *request; /* the client's */
};

/* Connects if need be and sends; the values are copied.  Suspends only to connect.  After 0 pg_receive() is due. */
int pg_send(struct pg *pg, struct pg_statement *statement, const struct pg_value *values, struct pg_call *ret_call,
	    struct pg_error *err, weir_nsec deadline);

/* Waits for the answer: 0 and *ret_result, to be freed (ret_result may be NULL); else a code with err.  The call is
 * over in each case: when the deadline passes or the fiber is cancelled, its answer will be thrown away. */
int pg_receive(struct pg *pg, struct pg_call *call, struct pg_result **ret_result, struct pg_error *err,
	       weir_nsec deadline);

/* Both. */
int pg_run(struct pg *pg, struct pg_statement *statement, const struct pg_value *values, struct pg_result **ret_result,
	   struct pg_error *err, weir_nsec deadline);

/* SQL without parameters, once. */
int pg_do(struct pg *pg, const char *sql, struct pg_result **ret_result, struct pg_error *err, weir_nsec deadline);

int pg_rows(const struct pg_result *result);
int pg_columns(const struct pg_result *result);
const char *pg_column(const struct pg_result *result, int column);        /* its name, borrowed */
enum pg_type pg_column_type(const struct pg_result *result, int column);  /* of a domain: that below it */
const char *pg_text(const struct pg_result *result, int row, int column); /* borrowed; NULL: it is null */
size_t pg_length(const struct pg_result *result, int row, int column);
int64_t pg_number(const struct pg_result *result, int row, int column); /* 0: it is null or none */
int64_t pg_affected(const struct pg_result *result);                    /* rows that it has written */
void pg_free(struct pg_result *result);                                 /* NULL is fine */

#endif
