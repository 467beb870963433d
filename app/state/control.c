/* SPDX-License-Identifier: MIT */
/*
 * See control.h.  The address goes through /proc/self/fd, because a socket's path holds 108 bytes and folders lie deep.
 * At most CLIENTS are served at once, each for CLIENT_TIME; more have to wait.
 */
#include "state/control.h"

#include "state/folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include <weir/weir.h>

enum { CLIENTS = 8, READ_BYTES = 4096 };

#define LOOK_TIME   (2 * WEIR_SEC)
#define CLIENT_TIME (5 * WEIR_SEC) /* for the request, and for most answers */
#define LONG_TIME   (60 * WEIR_SEC)

/* A look is worth no wait; what goes through all dead letters takes its time. */
static weir_nsec answer_time(const char *request)
{
	if (strcmp(request, "status") == 0)
		return LOOK_TIME;
	bool is_long = strncmp(request, "letters ", 8) == 0 && strncmp(request, "letters where ", 14) != 0;
	return is_long ? LONG_TIME : CLIENT_TIME;
}

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
static int read_request(struct weir_io *io, struct buf *request, weir_nsec deadline)
{
	while (request->len < CONTROL_REQUEST_BYTES) {
		char *room = buf_reserve(request, READ_BYTES);
		if (!room)
			return WEIR_ENOMEM;
		ssize_t got = weir_io_read(io, room, READ_BYTES, deadline);
		if (got <= 0)
			return got ? (int)got : WEIR_EPIPE;
		request->len += (size_t)got;
		room[got] = 0;
		char *end = strchr(room, '\n');
		if (end) {
			*end = 0;
			return 0;
		}
	}
	return WEIR_EINVAL;
}

static void answer_client(struct control *control, struct weir_io *io)
{
	struct buf request = {0}, out = {0};
	if (!read_request(io, &request, weir_after(CLIENT_TIME))) {
		weir_nsec deadline = weir_after(answer_time(request.data));
		control->answer(control->arg, request.data, &out, deadline);
		buf_add_char(&out, '\n');
		if (!out.failed)
			weir_io_write(io, out.data, out.len, deadline);
	}
	buf_fini(&request);
	buf_fini(&out);
}

static int serve(void *arg)
{
	struct client *client = arg;
	struct weir_io *io = NULL;
	if (is_allowed(client->fd) && !weir_io_open(client->fd, &io))
		answer_client(client->control, io);
	weir_io_close(io);
	close(client->fd);
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

static int send_line(int fd, const char *request)
{
	struct buf line = {0};
	int code = 0;
	buf_addf(&line, "%s\n", request);
	for (size_t done = 0; !line.failed && !code && done < line.len;) {
		ssize_t sent = send(fd, line.data + done, line.len - done, MSG_NOSIGNAL);
		code = sent < 0 && errno != EINTR ? -errno : 0;
		done += sent > 0 ? (size_t)sent : 0;
	}
	code = line.failed ? WEIR_ENOMEM : code;
	buf_fini(&line);
	return code;
}

static int exchange(int fd, const char *request, struct buf *answer)
{
	if (strlen(request) >= CONTROL_REQUEST_BYTES)
		return WEIR_EINVAL;
	int code = send_line(fd, request);
	while (!code) {
		char *room = buf_reserve(answer, READ_BYTES);
		if (!room)
			return WEIR_ENOMEM;
		ssize_t got = recv(fd, room, READ_BYTES, 0);
		if (got <= 0)
			return got ? -errno : 0;
		answer->len += (size_t)got;
		answer->data[answer->len] = 0;
	}
	return code;
}

/* Who does not answer keeps those who ask waiting in connect(), too, once listen()'s number of them is there. */
static int open_client(int folder_fd, weir_nsec patience)
{
	struct timeval limit = {.tv_sec = patience / WEIR_SEC};
	struct sockaddr_un address = address_in(folder_fd);
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | (patience ? 0 : SOCK_NONBLOCK), 0);
	if (fd < 0)
		return -errno;
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
	if (!connect(fd, (struct sockaddr *)&address, sizeof address))
		return fd;
	int code = -errno;
	close(fd);
	return code;
}

static int say_silent(const char *folder, const struct folder_holder *holder, struct weir_error *err)
{
	const char *slash = strrchr(folder, '/'), *name = slash && slash[1] ? slash + 1 : folder;
	if (holder->suspended)
		return weir_error_set(err, WEIR_EBUSY,
				      "%s (pid %ld) is suspended (Ctrl-Z): `fg`, or kill -CONT %ld, continues it", name,
				      holder->pid, holder->pid);
	return weir_error_set(err, WEIR_ETIMEDOUT, "%s (pid %ld) does not answer", name, holder->pid);
}

int control_ask(const char *folder, const char *request, struct buf *answer, struct weir_error *err)
{
	struct folder_holder holder;
	int folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (folder_fd < 0)
		return weir_error_set(err, -errno, "%s: %s", folder, strerror(errno));
	folder_holder(folder_fd, &holder);
	/* A pid alone may be that of another process by now: somebody must be there who listens. */
	int fd = open_client(folder_fd, holder.suspended ? 0 : answer_time(request));
	int code = fd < 0 ? fd : holder.suspended ? -EAGAIN : exchange(fd, request, answer);
	if (fd >= 0)
		close(fd);
	close(folder_fd);
	if (code == -EAGAIN)
		return say_silent(folder, &holder, err);
	if (code == -ENOENT || code == -ECONNREFUSED)
		return weir_error_set(err, code, "no run is active in %s", folder);
	return code ? weir_error_set(err, code, "%s/ctl: %s", folder, weir_strerror(code)) : 0;
}
