/* SPDX-License-Identifier: MIT */
/* How the step http gets to its servers: certificates and proxies, from its keys and the environment. */
#ifndef HTTP_CONNECTION_H
#define HTTP_CONNECTION_H

#include "http/client.h"
#include "http/config.h"
#include "port/step.h"

/* What the client is to do, once the file of the environment has been looked at.  Borrows from config and env. */
int step_http_find_tls(const struct step_http_config *config, const struct step_env *env, struct http_tls *ret_tls,
		       struct weir_error *err);

/* What goes through proxies; to be freed after the client that borrows it.  A proxy that cannot be one is WEIR_EINVAL
 * with err->text. */
int step_http_find_proxies(const struct step_http_config *config, const struct step_env *env,
			   struct http_proxies **ret_proxies, struct weir_error *err);

#endif
