/* SPDX-License-Identifier: MIT */
/* A real redis-server for a LOOP_TEST, on a unix socket in the test's folder: it keeps nothing on disk and ends with
 * the test, however that ends. */
#ifndef UNIT_REDISES_H
#define UNIT_REDISES_H

#include "redis/client.h"
#include "support/test.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

struct server {
	pid_t pid;
	const char *socket, *url;
};

/* Of 127.0.0.1. */
static inline int free_port(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof address;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	ck_assert_int_eq(bind(fd, (struct sockaddr *)&address, n), 0);
	ck_assert_int_eq(getsockname(fd, (struct sockaddr *)&address, &n), 0);
	close(fd);
	return ntohs(address.sin_port);
}

/* more: an option and its value, or NULL.  Does not wait until it is ready. */
static inline void launch_server(struct server *server, const char *option, const char *value)
{
	server->pid = fork();
	ck_assert_int_ge(server->pid, 0);
	if (server->pid)
		return;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	execlp("redis-server", "redis-server", "--port", "0", "--unixsocket", server->socket, "--save", "", "--dir",
	       test_folder(), "--logfile", test_format("%s/redis.log", test_folder()), option, value, (char *)NULL);
	_exit(127);
}

static inline void kill_server(struct server *server)
{
	ck_assert_int_eq(kill(server->pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(server->pid, NULL, 0), server->pid);
}

/* Connects once the server is there. */
static inline struct redis *open_redis(const struct redis_options *opts)
{
	struct redis *redis;
	struct weir_error err;
	int code;
	while ((code = redis_open(opts, &redis, &err, WEIR_FOREVER)) == WEIR_ENOENT || code == -ECONNREFUSED ||
	       code == WEIR_EBUSY)
		ck_assert_int_eq(weir_sleep(5 * WEIR_MSEC), 0);
	if (code)
		ck_abort_msg("%s", err.text);
	return redis;
}

static inline struct redis *start_server(struct server *server, const char *option, const char *value)
{
	server->socket = test_format("%s/redis.sock", test_folder());
	server->url = test_format("redis+unix://%s", server->socket);
	launch_server(server, option, value);
	return open_redis(&(struct redis_options){.url = server->url});
}

static inline void stop_server(struct server *server, struct redis *redis)
{
	redis_close(redis);
	kill_server(server);
}

/* Sends words, up to a NULL: the code. */
static inline int try_words(struct redis *redis, redisReply **ret_reply, struct weir_error *err,
			    const char *const *words)
{
	struct redis_command command = {0};
	for (; *words; words++)
		redis_add_text(&command, *words);
	int code = redis_call(redis, &command, ret_reply, err, WEIR_FOREVER);
	redis_command_fini(&command);
	return code;
}

#define TRY_WORDS(redis, reply, err, ...) try_words(redis, reply, err, (const char *const[]){__VA_ARGS__, NULL})

static inline redisReply *say_words(struct redis *redis, const char *const *words)
{
	struct weir_error err;
	redisReply *reply;
	if (try_words(redis, &reply, &err, words))
		ck_abort_msg("%s: %s", words[0], err.text);
	return reply;
}

#define SAY(redis, ...) say_words(redis, (const char *const[]){__VA_ARGS__, NULL})

#endif
