/* SPDX-License-Identifier: MIT */
/*
 * The mock over real sockets: server and clients are fibers of one loop.  The clients are plain sockets, since the
 * point of most tests is what bytes come, and how the connection ends.
 */
#ifndef UNIT_MOCKS_H
#define UNIT_MOCKS_H

#include "data/buf.h"
#include "data/json.h"
#include "mock/server.h"
#include "support/test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir/group.h>
#include <weir/io.h>

static struct mock_config config;
static struct mock_server *server;
static struct weir_group *group;
static struct address address;

static inline void configure(void)
{
	mock_config_init(&config);
	ck_assert_int_eq(mock_config_listen(&config, "127.0.0.1:0", NULL), 0);
}

static inline void start(void)
{
	struct weir_error err = {0};
	ck_assert_msg(mock_server_new(&config, &server, &err) == 0, "%s", err.text);
	address = *mock_server_address(server);
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	ck_assert_int_eq(weir_group_spawn(group, mock_server_run, server, WEIR_FOREVER), 0);
}

static inline void stop(void)
{
	weir_group_cancel(group);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	weir_group_free(group);
	ck_assert_uint_eq(mock_server_stats(server)->connections, 0);
	mock_server_free(server);
	mock_config_fini(&config);
}

struct client {
	int fd;
	struct weir_io *io;
	struct buf got;
	int end; /* 0: FIN; or how reading failed */
};

static inline struct client *dial(void)
{
	struct client *client = calloc(1, sizeof *client);
	client->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	ck_assert_int_ge(client->fd, 0);
	if (connect(client->fd, &address.any, address.bytes) < 0)
		ck_assert_int_eq(errno, EINPROGRESS);
	ck_assert_int_eq(weir_io_open(client->fd, &client->io), 0);
	return client;
}

static inline void hang_up(struct client *client)
{
	weir_io_close(client->io);
	close(client->fd);
	buf_fini(&client->got);
	free(client);
}

static inline void say(struct client *client, const char *text)
{
	ck_assert_int_eq(weir_io_write(client->io, text, strlen(text), WEIR_FOREVER), 0);
}

/* Reads until `until` was read (NULL: the end) or the time is over. */
static inline void hear(struct client *client, const char *until, weir_nsec limit)
{
	static char piece[65536];
	weir_nsec deadline = weir_after(limit);
	do {
		ssize_t n = weir_io_read(client->io, piece, sizeof piece, deadline);
		if (n <= 0) {
			client->end = (int)n;
			return;
		}
		ck_assert_int_eq(buf_add(&client->got, piece, (size_t)n), 0);
	} while (!until || !memmem(client->got.data, client->got.len, until, strlen(until)));
	client->end = 1;
}

static inline struct client *get_within(const char *path, weir_nsec limit)
{
	struct client *client = dial();
	say(client, test_format("GET %s HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n", path));
	hear(client, NULL, limit);
	buf_add_str(&client->got, "");
	return client;
}

static inline struct client *get(const char *path)
{
	return get_within(path, 10 * WEIR_SEC);
}

static inline const char *body_of(const struct client *client)
{
	const char *end = strstr(client->got.data, "\r\n\r\n");
	ck_assert_ptr_nonnull(end);
	return end + 4;
}

static inline bool is_json(const char *text)
{
	struct json *json;
	if (json_parse(text, strlen(text), &json, NULL) < 0)
		return false;
	json_free(json);
	return true;
}

static inline size_t announced(const struct client *client)
{
	const char *at = strstr(client->got.data, "Content-Length: ");
	ck_assert_ptr_nonnull(at);
	return strtoul(at + 16, NULL, 10);
}

/* A good answer: that status, as long as announced, ended by FIN. */
static inline void expect(const char *path, int status, const char *words)
{
	struct client *client = get(path);
	ck_assert_msg(client->end == 0, "%s: %d", path, client->end);
	ck_assert_msg(!strncmp(client->got.data, test_format("HTTP/1.1 %d ", status), 13), "%s: %s", path,
		      client->got.data);
	if (status != 204)
		ck_assert_uint_eq(strlen(body_of(client)), announced(client));
	ck_assert_msg(strstr(client->got.data, words), "%s: %s", path, client->got.data);
	hang_up(client);
}

#endif
