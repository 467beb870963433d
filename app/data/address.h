/* SPDX-License-Identifier: MIT */
/* Addresses to listen on: "127.0.0.1:8080", "[::1]:0". */
#ifndef DATA_ADDRESS_H
#define DATA_ADDRESS_H

#include <netinet/in.h>
#include <stdbool.h>
#include <sys/socket.h>

enum { ADDRESS_TEXT_BYTES = INET6_ADDRSTRLEN + sizeof "[]:65535" };

struct address {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	};
	socklen_t bytes;
};

/* False: it is no ADDRESS:PORT.  An IPv6 address stands in brackets. */
bool address_read(const char *text, struct address *ret_address);

in_port_t address_port(const struct address *address);
void address_set_port(struct address *address, in_port_t port);

/* Whether only this machine reaches it. */
bool address_is_loopback(const struct address *address);

/* As it is read; the answer is `text`. */
const char *address_text(const struct address *address, char text[ADDRESS_TEXT_BYTES]);

/* A socket that is bound and listens, *address then has the port that port 0 became: the descriptor, or the negative of
 * errno.  `tune` may set options of the socket, which those that are accepted inherit; or NULL. */
int address_listen(struct address *address, int backlog, void (*tune)(int fd));

#endif
