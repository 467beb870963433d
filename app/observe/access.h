/* SPDX-License-Identifier: MIT */
/*
 * Who may read an endpoint.
 *
 * A web page that somebody visits must not read it.  Such a page sends its own Origin, or has made its own name lead to
 * this machine; then the Host is that name.  So an Origin must be the endpoint's own, and without a token the Host must
 * be one that nobody else can own: an address, localhost, or the name of this machine.
 */
#ifndef OBSERVE_ACCESS_H
#define OBSERVE_ACCESS_H

#include <stdbool.h>

enum access { ACCESS_GRANTED, ACCESS_NO_TOKEN, ACCESS_FOREIGN_HOST, ACCESS_FOREIGN_ORIGIN };

/* What a request brought; NULL: it did not.  token: that of the endpoint, NULL: none is asked for. */
struct access_request {
	const char *host, *origin, *authorization;
};
enum access access_check(const struct access_request *request, const char *token);

#endif
