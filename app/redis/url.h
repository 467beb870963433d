/* SPDX-License-Identifier: MIT */
/*
 * Where a Redis server is, and as whom to log in there.  Pure.
 *
 *     redis://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE]
 *     rediss://[[USER]:PASSWORD@]HOST[:PORT][/DATABASE][?ca=FILE&cert=FILE&key=FILE&password=TEXT&server_name=NAME]
 *     redis+unix://[[USER]:PASSWORD@]/PATH[?db=DATABASE]
 *
 * rediss: with TLS, and the names of `tls` in the step http.  User, password, path and parameters may be
 * percent-encoded.
 */
#ifndef REDIS_URL_H
#define REDIS_URL_H

#include <stdbool.h>
#include <stdint.h>
#include <weir/base.h>

#define REDIS_PORT 6379

struct redis_url {
	char *user, *password; /* NULL: none; for no message */
	char *host;            /* a name, or an address without its brackets; NULL: path counts */
	char *path;            /* of a unix socket */
	bool tls;              /* and of it, NULL where it is not given: */
	char *ca, *cert, *key; /* files in PEM: the authorities to trust, one's own certificate, and its key */
	char *key_password, *server_name;
	uint16_t port;
	unsigned database;
	char name[280]; /* "host:port" or the path: for messages */
};

/* Also puts the password on the list of secrets (data/secret.h).  WEIR_EINVAL with err->text, which quotes no part that
 * may hold a password; WEIR_ENOMEM. */
int redis_url_parse(const char *text, struct redis_url *ret_url, struct weir_error *err);
void redis_url_fini(struct redis_url *url); /* all zero is fine */

#endif
