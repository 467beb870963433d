/* SPDX-License-Identifier: MIT */
/*
 * The accept loop.  When no descriptor is left, accept() fails but the connection stays in the queue, and the loop
 * would spin on it: so one descriptor is kept in reserve, closed for a moment to take the connection, and the client
 * sees it closed at once.
 */
#include "server.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn.h"

enum { BACKLOG = 4096, ACCEPT_STREAK = 64, MOST_TURNED_AWAY = 1000, SEND_ROOM_BYTES = 128 * 1024 };

static int open_reserve(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Accepted sockets inherit these.  Left alone, the system would keep up to 4 MiB for each client that does not read. */
static void tune(int fd)
{
	static const int one = 1, room = SEND_ROOM_BYTES;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
	setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof room);
}

static int listen_at(struct address *address, struct weir_error *err)
{
	char text[ADDRESS_TEXT_BYTES];
	int fd = address_listen(address, BACKLOG, tune);
	return fd >= 0 ? fd
		       : weir_error_set(err, fd, "cannot listen on %s: %s%s", address_text(address, text),
					strerror(-fd),
					fd == -EADDRINUSE ? "; --listen takes another address or port" : "");
}

/* -1: none is wanted. */
static int open_log(const char *path, struct weir_error *err)
{
	int fd = path ? open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644) : -1;
	return path && fd < 0 ? weir_error_set(err, -errno, "cannot open %s: %s", path, strerror(errno)) : fd;
}

int mock_server_new(const struct mock_config *config, struct mock_server **ret_server, struct weir_error *err)
{
	struct mock_server *server = calloc(1, sizeof *server);
	int result = WEIR_ENOMEM;
	if (!server)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	server->config = config;
	server->reserve_fd = open_reserve();
	server->log_fd = -1;
	server->address = config->listen;
	server->fd = listen_at(&server->address, err);
	if (server->fd < 0) {
		result = server->fd;
		goto fail;
	}
	server->log_fd = open_log(config->log, err);
	if (config->log && server->log_fd < 0) {
		result = server->log_fd;
		goto fail;
	}
	if (mock_desk_init(&server->desk, config) < 0) {
		weir_error_set(err, result, "out of memory");
		goto fail;
	}
	*ret_server = server;
	return 0;
fail:
	mock_server_free(server);
	return result;
}

void mock_server_free(struct mock_server *server)
{
	if (!server)
		return;
	if (server->fd >= 0)
		close(server->fd);
	if (server->log_fd >= 0)
		close(server->log_fd);
	if (server->reserve_fd >= 0)
		close(server->reserve_fd);
	mock_desk_fini(&server->desk);
	free(server);
}

const struct address *mock_server_address(const struct mock_server *server)
{
	return &server->address;
}

const struct mock_stats *mock_server_stats(const struct mock_server *server)
{
	return &server->desk.stats;
}

static void start_connection(struct mock_server *server, int fd)
{
	static const struct weir_spawn_options options = {.name = "mock connection"};
	struct mock_stats *stats = &server->desk.stats;
	size_t most = server->config->max_connections;
	bool turned_away = most && stats->connections >= most;
	struct mock_conn *conn = NULL;
	if (!turned_away || server->turned_away < MOST_TURNED_AWAY)
		conn = calloc(1, sizeof *conn);
	if (conn)
		*conn = (struct mock_conn){.server = server, .fd = fd, .turned_away = turned_away};
	stats->refused += turned_away || !conn;
	if (!conn || weir_group_spawn_with(server->group, &options, mock_service_run, conn, WEIR_FOREVER) < 0) {
		free(conn);
		close(fd);
		return;
	}
	stats->accepted++;
	if (turned_away)
		server->turned_away++;
	else if (++stats->connections > stats->max_connections)
		stats->max_connections = stats->connections;
}

/* No descriptor is left: 0 when one connection was taken off the queue and closed, or after a pause. */
static int drop_connection(struct mock_server *server)
{
	if (server->reserve_fd >= 0) {
		close(server->reserve_fd);
		int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd >= 0) {
			close(fd);
			server->desk.stats.refused++;
		}
		server->reserve_fd = open_reserve();
		if (fd >= 0)
			return weir_yield();
	} else {
		server->reserve_fd = open_reserve();
	}
	return weir_sleep(10 * WEIR_MSEC);
}

static int accept_one(struct mock_server *server, struct weir_io *io)
{
	int fd = accept4(server->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), error = errno;
	if (fd >= 0) {
		start_connection(server, fd);
		return 0;
	}
	switch (error) {
	case EAGAIN:
		return weir_io_wait(io, WEIR_READABLE, WEIR_FOREVER);
	case EMFILE:
	case ENFILE:
		return drop_connection(server);
	case ENOMEM:
	case ENOBUFS:
		return weir_sleep(10 * WEIR_MSEC);
	case EBADF:
	case EINVAL:
	case ENOTSOCK:
		return -error;
	default: /* the connection that failed is gone; the next one may do */
		return weir_yield();
	}
}

int mock_server_run(void *arg)
{
	struct mock_server *server = arg;
	struct weir_io *io = NULL;
	struct weir_group_options collect = {.flags = WEIR_GROUP_COLLECT};
	int result = weir_group_new(&collect, &server->group);
	if (result < 0)
		return result;
	result = weir_io_open(server->fd, &io);
	for (unsigned streak = 1; result >= 0; streak++) {
		result = accept_one(server, io);
		if (result >= 0 && streak % ACCEPT_STREAK == 0)
			result = weir_yield();
	}
	weir_io_close(io);
	weir_group_cancel(server->group);
	weir_shield_enter();
	weir_group_wait(server->group, WEIR_FOREVER);
	weir_shield_leave();
	weir_group_free(server->group);
	server->group = NULL;
	return result;
}
