/* SPDX-License-Identifier: MIT */
/* The mock's server: an upstream that answers as its config says. */
#ifndef MOCK_SERVER_H
#define MOCK_SERVER_H

#include "config.h"
#include "stats.h"

struct mock_server;

/* Listens; connections are taken from now on, though not yet answered.  config is borrowed.  What the system says of
 * the address, with err->text; WEIR_ENOMEM. */
int mock_server_new(const struct mock_config *config, struct mock_server **ret_server, struct weir_error *err);
void mock_server_free(struct mock_server *server);

/* The body of a fiber, arg is the server: accepts and answers, in a group of its own, until it is cancelled; all
 * connections are closed then.  WEIR_ECANCELED, or what made accepting impossible. */
int mock_server_run(void *arg);

/* Where it listens; valid as long as the server. */
const struct address *mock_server_address(const struct mock_server *server);
const struct mock_stats *mock_server_stats(const struct mock_server *server);

#endif
