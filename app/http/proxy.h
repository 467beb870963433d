/* SPDX-License-Identifier: MIT */
/* Which proxy, of HTTP or SOCKS 5, a request goes through.  Pure. */
#ifndef HTTP_PROXY_H
#define HTTP_PROXY_H

#include "http/origin.h"

#include <weir/base.h>

struct http_proxy {
	char *url;                 /* with user and password: for no message */
	struct http_origin origin; /* where it is */
	char name[264];            /* "host:port", for messages */
	char key[280];             /* of what is kept about it, like an origin's name and equal to none */
	bool has_user;
};

/* As the environment has them.  NULL, empty or "none": none. */
struct http_proxy_settings {
	const char *http, *https; /* of URLs that begin so: [http://|socks5://][user:password@]host[:port] */
	const char *except;       /* "host, .domain, 10.0.0.0/8, host:port": not of those; "*": of none */
	bool spares_loopback;     /* nor of this machine */
};

struct http_proxies;

/* WEIR_EINVAL with err->text, which quotes no password; WEIR_ENOMEM. */
int http_proxies_new(const struct http_proxy_settings *settings, struct http_proxies **ret_proxies,
		     struct weir_error *err);
void http_proxies_free(struct http_proxies *proxies); /* NULL is fine */

/* That of requests to the origin; NULL: none.  So it is, too, without proxies. */
const struct http_proxy *http_proxies_find(const struct http_proxies *proxies, const struct http_origin *origin);

#endif
