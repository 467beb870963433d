/* SPDX-License-Identifier: MIT */
/* The key `tls` of the step http: whose certificates are trusted, and one's own. */
#ifndef HTTP_TLS_H
#define HTTP_TLS_H

#include "http/client.h"
#include "http/config.h"
#include "port/step.h"

/* What the client is to do, once the files it needs have been looked at: one that holds no certificate would fail every
 * request, one after the other.  Borrows from config and env. */
int step_http_find_tls(const struct step_http_config *config, const struct step_env *env, struct http_tls *ret_tls,
		       struct weir_error *err);

#endif
