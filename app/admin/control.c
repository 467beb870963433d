/* SPDX-License-Identifier: MIT */
/*
 * See control.h.  The address goes through /proc/self/fd, because a socket's path holds 108 bytes and folders lie deep.
 * At most CLIENTS are served at once, each for CLIENT_TIME; more have to wait.
 */
#include "admin/control.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <weir/weir.h>

enum { CLIENTS = 8, REQUEST_BYTES = 1024 };

#define CLIENT_TIME (5 * WEIR_SEC)

struct control {
	int fd, folder_fd;
	struct weir_io *io;
	struct weir_group *server, *clients;
	control_answer answer;
	void *arg;
};

struct client {
	struct control *control;
	int fd;
};

static struct sockaddr_un address_in(int folder_fd)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/ctl", folder_fd);
	return address;
}

static bool is_allowed(int fd)
{
	struct ucred peer;
	socklen_t n = sizeof peer;
	return !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &n) && (peer.uid == geteuid() || peer.uid == 0);
}

/* One line, without its newline; negative if none comes. */
static int read_request(struct weir_io *io, char *request, weir_nsec deadline)
{
	size_t n = 0;
	while (n < REQUEST_BYTES - 1) {
		ssize_t got = weir_io_read(io, request + n, REQUEST_BYTES - 1 - n, deadline);
		if (got <= 0)
			return got ? (int)got : WEIR_EPIPE;
		n += (size_t)got;
		request[n] = 0;
		char *end = strchr(request, '\n');
		if (end) {
			*end = 0;
			return 0;
		}
	}
	return WEIR_EINVAL;
}

static int serve(void *arg)
{
	struct client *client = arg;
	struct weir_io *io = NULL;
	char request[REQUEST_BYTES];
	struct buf out = {0};
	weir_nsec deadline = weir_after(CLIENT_TIME);
	if (is_allowed(client->fd) && !weir_io_open(client->fd, &io) && !read_request(io, request, deadline)) {
		client->control->answer(client->control->arg, request, &out, deadline);
		buf_add_char(&out, '\n');
		if (!out.failed)
			weir_io_write(io, out.data, out.len, deadline);
	}
	weir_io_close(io);
	close(client->fd);
	buf_fini(&out);
	free(client);
	return 0;
}

static void start_client(struct control *control, int fd)
{
	static const struct weir_spawn_options opts = {.name = "control client"};
	struct client *client = malloc(sizeof *client);
	if (client) {
		*client = (struct client){.control = control, .fd = fd};
		if (!weir_group_spawn_with(control->clients, &opts, serve, client, WEIR_FOREVER))
			return;
	}
	free(client);
	close(fd);
}

static int accept_clients(void *arg)
{
	struct control *control = arg;
	for (;;) {
		int fd = accept4(control->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd >= 0) {
			start_client(control, fd);
			continue;
		}
		int code = errno == EAGAIN ? weir_io_wait(control->io, WEIR_READABLE, WEIR_FOREVER)
					   : weir_sleep(WEIR_SEC); /* no descriptor, no memory: later */
		if (code < 0)
			return 0;
	}
}

static void free_control(struct control *control)
{
	weir_io_close(control->io);
	if (control->fd >= 0)
		close(control->fd);
	weir_group_free(control->server);
	weir_group_free(control->clients);
	free(control);
}

static int listen_in(struct control *control)
{
	struct sockaddr_un address = address_in(control->folder_fd);
	control->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (control->fd < 0)
		return -errno;
	if (unlinkat(control->folder_fd, "ctl", 0) && errno != ENOENT)
		return -errno;
	/* Nobody can connect before listen(), and by then the mode is right. */
	if (bind(control->fd, (struct sockaddr *)&address, sizeof address) ||
	    fchmodat(control->folder_fd, "ctl", 0600, 0) || listen(control->fd, 16))
		return -errno;
	return weir_io_open(control->fd, &control->io);
}

int control_start(int folder_fd, control_answer answer, void *arg, struct control **ret_control, struct weir_error *err)
{
	static const struct weir_group_options clients = {.flags = WEIR_GROUP_COLLECT, .limit = CLIENTS};
	static const struct weir_spawn_options opts = {.name = "control"};
	struct control *control = calloc(1, sizeof *control);
	if (!control)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	*control = (struct control){.fd = -1, .folder_fd = folder_fd, .answer = answer, .arg = arg};
	int code = listen_in(control);
	if (!code)
		code = weir_group_new(NULL, &control->server);
	if (!code)
		code = weir_group_new(&clients, &control->clients);
	if (!code)
		code = weir_group_spawn_with(control->server, &opts, accept_clients, control, WEIR_FOREVER);
	if (code) {
		free_control(control);
		return weir_error_set(err, code, "control socket: %s", weir_strerror(code));
	}
	*ret_control = control;
	return 0;
}

void control_stop(struct control *control)
{
	if (!control)
		return;
	weir_shield_enter();
	unlinkat(control->folder_fd, "ctl", 0);
	weir_group_cancel(control->server);
	weir_group_wait(control->server, WEIR_FOREVER);
	weir_group_cancel(control->clients);
	weir_group_wait(control->clients, WEIR_FOREVER);
	weir_shield_leave();
	free_control(control);
}

static int exchange(int fd, const char *request, struct buf *answer)
{
	struct timeval limit = {.tv_sec = CLIENT_TIME / WEIR_SEC};
	char line[REQUEST_BYTES];
	int n = snprintf(line, sizeof line, "%s\n", request);
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	if (n >= (int)sizeof line)
		return WEIR_EINVAL;
	if (send(fd, line, (size_t)n, MSG_NOSIGNAL) != n)
		return -errno;
	for (;;) {
		char *room = buf_reserve(answer, 4096);
		if (!room)
			return WEIR_ENOMEM;
		ssize_t got = recv(fd, room, 4096, 0);
		if (got <= 0)
			return got ? -errno : 0;
		answer->len += (size_t)got;
		answer->data[answer->len] = 0;
	}
}

int control_ask(const char *folder, const char *request, struct buf *answer, struct weir_error *err)
{
	int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder_fd < 0)
		return weir_error_set(err, -errno, "%s: %s", folder, strerror(errno));
	struct sockaddr_un address = address_in(folder_fd);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), code = 0;
	if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof address))
		code = -errno;
	else
		code = exchange(fd, request, answer);
	if (fd >= 0)
		close(fd);
	close(folder_fd);
	if (code == -ENOENT || code == -ECONNREFUSED)
		return weir_error_set(err, code, "no run is alive in %s", folder);
	return code ? weir_error_set(err, code, "%s/ctl: %s", folder, weir_strerror(code)) : 0;
}
