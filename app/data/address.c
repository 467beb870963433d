/* SPDX-License-Identifier: MIT */
#include "data/address.h"

#include "data/units.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void *bytes_of(struct address *address)
{
	return address->any.sa_family == AF_INET ? (void *)&address->v4.sin_addr : (void *)&address->v6.sin6_addr;
}

bool address_read(const char *text, struct address *ret_address)
{
	struct address address = {.bytes = sizeof address.v4};
	char host[INET6_ADDRSTRLEN];
	int64_t port;
	const char *colon = strrchr(text, ':');
	if (!colon || !units_count(colon + 1, strlen(colon + 1), 0, UINT16_MAX, &port))
		return false;
	size_t n = (size_t)(colon - text);
	address.any.sa_family = AF_INET;
	if (text[0] == '[' && n >= 2 && text[n - 1] == ']') {
		address.any.sa_family = AF_INET6;
		address.bytes = sizeof address.v6;
		text++;
		n -= 2;
	}
	if (n >= sizeof host)
		return false;
	memcpy(host, text, n);
	host[n] = 0;
	if (inet_pton(address.any.sa_family, host, bytes_of(&address)) != 1)
		return false;
	address_set_port(&address, (in_port_t)port);
	*ret_address = address;
	return true;
}

in_port_t address_port(const struct address *address)
{
	return ntohs(address->any.sa_family == AF_INET ? address->v4.sin_port : address->v6.sin6_port);
}

void address_set_port(struct address *address, in_port_t port)
{
	if (address->any.sa_family == AF_INET)
		address->v4.sin_port = htons(port);
	else
		address->v6.sin6_port = htons(port);
}

bool address_is_loopback(const struct address *address)
{
	return address->any.sa_family == AF_INET ? ntohl(address->v4.sin_addr.s_addr) >> 24 == IN_LOOPBACKNET
						 : IN6_IS_ADDR_LOOPBACK(&address->v6.sin6_addr);
}

const char *address_text(const struct address *address, char text[ADDRESS_TEXT_BYTES])
{
	char host[INET6_ADDRSTRLEN] = "";
	struct address copy = *address;
	bool is_v6 = address->any.sa_family == AF_INET6;
	inet_ntop(address->any.sa_family, bytes_of(&copy), host, sizeof host);
	snprintf(text, ADDRESS_TEXT_BYTES, is_v6 ? "[%s]:%u" : "%s:%u", host, (unsigned)address_port(address));
	return text;
}

int address_listen(struct address *address, int backlog, void (*tune)(int fd))
{
	static const int yes = 1;
	int fd = socket(address->any.sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
	if (tune)
		tune(fd);
	if (bind(fd, &address->any, address->bytes) == 0 && listen(fd, backlog) == 0 &&
	    getsockname(fd, &address->any, &address->bytes) == 0)
		return fd;
	int code = -errno;
	close(fd);
	return code;
}
