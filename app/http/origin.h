/* SPDX-License-Identifier: MIT */
/*
 * Where a URL goes: scheme, host and port; and whether an address may be talked to when it came from outside.
 * Pure: no I/O, no state.
 */
#ifndef HTTP_ORIGIN_H
#define HTTP_ORIGIN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

struct http_origin {
	bool tls;
	bool numeric; /* the host is an address */
	uint16_t port;
	char host[254]; /* lower case; an IPv6 address without its brackets */
	char name[272]; /* "http://host:port": the key of everything that is kept per host */
};

/* NULL and *ret_origin, or what is wrong with the URL, a literal.  Stricter than RFC 3986 on purpose, so that no other
 * parser can see another host in the same text: http or https, no user or password, ASCII host names, no white space
 * and no control bytes. */
const char *http_origin_parse(const char *url, struct http_origin *ret_origin);

/* Whether the address is an ordinary one on the Internet: not loopback, private, shared, link-local, multicast,
 * unspecified, reserved, nor an IPv6 form of such an IPv4 address. */
bool http_address_is_public(const struct sockaddr *address);

/* The same of an address as text ("10.0.0.1", "::1"); false if it is none. */
bool http_address_text_is_public(const char *text);

/* Whether nothing in the host of an origin says that it is not public: it is no localhost, and no other address,
 * however that is written (127.1, 0x7f000001).  The addresses of a name are another matter. */
bool http_host_may_be_public(const char *host);

#endif
