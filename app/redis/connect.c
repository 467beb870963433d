/* SPDX-License-Identifier: MIT */
/*
 * A name is looked up on the loop's pool of threads.  That can last half a minute and cannot be stopped, so the lookup
 * is shared by a count: who is last frees it, and the fiber need not wait for the thread.
 */
#include "redis/connect.h"

#include <errno.h>
#include <netdb.h>
#include <netinet/tcp.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
#include <weir/io.h>
#include <weir/offload.h>

struct host_lookup {
	atomic_int owners; /* fiber and pool; both release it, the last one (acquire-release) frees */
	char *host;
	char port[8];
	struct addrinfo *found; /* written on the thread, read by the fiber after the call returned */
	int failure;            /* of getaddrinfo(); likewise */
};

static void release_lookup(void *arg)
{
	struct host_lookup *lookup = arg;
	if (atomic_fetch_sub_explicit(&lookup->owners, 1, memory_order_acq_rel) != 1)
		return;
	if (lookup->found)
		freeaddrinfo(lookup->found);
	free(lookup->host);
	free(lookup);
}

static int look_up(void *arg)
{
	struct host_lookup *lookup = arg;
	const struct addrinfo hints = {.ai_socktype = SOCK_STREAM};
	lookup->failure = getaddrinfo(lookup->host, lookup->port, &hints, &lookup->found);
	return 0;
}

static int new_lookup(const struct redis_url *url, struct host_lookup **ret_lookup)
{
	struct host_lookup *lookup = calloc(1, sizeof *lookup);
	if (lookup)
		lookup->host = strdup(url->host);
	if (!lookup || !lookup->host) {
		free(lookup);
		return WEIR_ENOMEM;
	}
	atomic_init(&lookup->owners, 2);
	snprintf(lookup->port, sizeof lookup->port, "%d", (int)url->port);
	*ret_lookup = lookup;
	return 0;
}

/* Waits until the connection is there, or has failed. */
static int await(int fd, weir_nsec deadline)
{
	struct weir_io *io;
	int code = weir_io_open(fd, &io), failure = 0;
	if (code)
		return code;
	code = weir_io_wait(io, WEIR_WRITABLE, deadline);
	weir_io_close(io);
	if (code < 0)
		return code;
	if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &(socklen_t){sizeof failure}) < 0)
		failure = errno;
	return -failure;
}

static int connect_to(const struct sockaddr *address, socklen_t bytes, int *ret_fd, weir_nsec deadline)
{
	int fd = socket(address->sa_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), code = 0;
	if (fd < 0)
		return -errno;
	if (address->sa_family != AF_UNIX) {
		setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){1}, sizeof(int));
		setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
	}
	if (connect(fd, address, bytes) < 0)
		code = errno == EINPROGRESS ? await(fd, deadline) : -errno;
	if (code) {
		close(fd);
		return code;
	}
	*ret_fd = fd;
	return 0;
}

static int connect_unix(const struct redis_url *url, int *ret_fd, struct weir_error *err, weir_nsec deadline)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	if (strlen(url->path) >= sizeof address.sun_path)
		return weir_error_set(err, WEIR_EINVAL, "the path of the socket of Redis is longer than %zu bytes: %s",
				      sizeof address.sun_path - 1, url->path);
	memcpy(address.sun_path, url->path, strlen(url->path) + 1);
	int code = connect_to((const struct sockaddr *)&address, sizeof address, ret_fd, deadline);
	return code ? weir_error_set(err, code, "cannot connect to Redis at %s: %s", url->name, weir_strerror(code))
		    : 0;
}

/* The addresses in turn: how it went with the last one. */
static int connect_any(const struct addrinfo *address, int *ret_fd, weir_nsec deadline)
{
	int code = WEIR_ENOENT;
	for (; address; address = address->ai_next) {
		code = connect_to(address->ai_addr, address->ai_addrlen, ret_fd, deadline);
		if (!code || code == WEIR_ECANCELED || code == WEIR_ETIMEDOUT)
			break;
	}
	return code;
}

static int connect_tcp(const struct redis_url *url, int *ret_fd, struct weir_error *err, weir_nsec deadline)
{
	struct host_lookup *lookup;
	int code = new_lookup(url, &lookup);
	if (code)
		return weir_error_set(err, code, "out of memory");
	code = weir_offload_owned(look_up, lookup, release_lookup, deadline);
	if (code == WEIR_ENOMEM)
		atomic_store(&lookup->owners, 1); /* the pool never took its share */
	const char *why = code ? weir_strerror(code) : lookup->failure ? gai_strerror(lookup->failure) : NULL;
	if (why)
		code = weir_error_set(err, code ? code : WEIR_ENOENT, "cannot find the host of Redis at %s: %s",
				      url->name, why);
	else if ((code = connect_any(lookup->found, ret_fd, deadline)))
		weir_error_set(err, code, "cannot connect to Redis at %s: %s", url->name, weir_strerror(code));
	release_lookup(lookup);
	return code;
}

int redis_connect(const struct redis_url *url, int *ret_fd, struct weir_error *err, weir_nsec deadline)
{
	return (url->path ? connect_unix : connect_tcp)(url, ret_fd, err, deadline);
}
