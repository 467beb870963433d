/* SPDX-License-Identifier: MIT */
#include "bench/redis.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench/child.h"

enum { LOOK_MS = 10, START_MS = 10000 };

static bool listens(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
	bool connected = fd >= 0 && connect(fd, (struct sockaddr *)&address, sizeof address) == 0;
	if (fd >= 0)
		close(fd);
	return connected;
}

static bool becomes_ready(struct bench_redis *redis, const char *path)
{
	for (int ms = 0; ms < START_MS; ms += LOOK_MS) {
		if (listens(path))
			return true;
		if (waitpid(redis->pid, NULL, WNOHANG) == redis->pid) {
			redis->pid = 0;
			return false;
		}
		nanosleep(&(struct timespec){.tv_nsec = LOOK_MS * 1000000L}, NULL);
	}
	return false;
}

int bench_redis_start(struct bench_redis *redis, const char *folder, unsigned place, struct weir_error *err)
{
	char files[80], path[100];
	char *server = bench_child_find("redis-server");
	*redis = (struct bench_redis){0};
	if (!server)
		return weir_error_set(err, WEIR_EIO, "Redis is not installed; install it (Debian: redis-server)");
	snprintf(files, sizeof files, "%.60s/redis-%u", folder, place);
	snprintf(path, sizeof path, "%s/socket", files);
	const char *const words[] = {
		server, "--port", "0", "--unixsocket", path,  "--unixsocketperm", "700",      "--dir",
		files,  "--save", "",  "--appendonly", "yes", "--appendfsync",    "everysec", NULL};
	if (mkdir(files, 0700) == 0)
		redis->pid = bench_child_start(&(struct bench_child){.words = words}, NULL);
	free(server);
	if (redis->pid <= 0 || !becomes_ready(redis, path)) {
		bench_redis_stop(redis);
		return weir_error_set(err, WEIR_EIO, "redis-server does not start in %s", files);
	}
	snprintf(redis->url, sizeof redis->url, "redis+unix://%s", path);
	setenv("REDIS_URL", redis->url, 1);
	return 0;
}

void bench_redis_stop(struct bench_redis *redis)
{
	if (redis->pid <= 0)
		return;
	kill(redis->pid, SIGKILL);
	bench_child_wait(redis->pid);
	redis->pid = 0;
}
