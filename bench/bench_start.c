/* SPDX-License-Identifier: MIT */
/*
 * How long a command takes to its first request: `bench-start COMMAND [WORD ...]` listens on a free port of 127.0.0.1,
 * puts its address into MOCK_URL, starts the command, and prints the milliseconds from there until the first bytes of
 * the first request have come.  Then the command is killed; what it prints is not shown unless it ends by itself.
 *
 * It listens itself, where scripts/bench-pipeline has `weir mock`: an upstream that is asked when the first request
 * came would add its own time.
 */
#include <arpa/inet.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

enum { PATIENCE_MS = 20000 };

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static double now_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

static int listen_somewhere(void)
{
	struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t n = sizeof address;
	char url[64];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, n) || listen(fd, 1000) ||
	    getsockname(fd, (struct sockaddr *)&address, &n))
		die("bench-start: listen");
	snprintf(url, sizeof url, "http://127.0.0.1:%d", ntohs(address.sin_port));
	setenv("MOCK_URL", url, 1);
	return fd;
}

/* Whether there was a request in time. */
static bool await_request(int listener)
{
	char bytes[4096];
	struct pollfd ready = {.fd = listener, .events = POLLIN};
	if (poll(&ready, 1, PATIENCE_MS) != 1)
		return false;
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
	ready.fd = fd;
	bool came = fd >= 0 && poll(&ready, 1, PATIENCE_MS) == 1 && read(fd, bytes, sizeof bytes) > 0;
	close(fd);
	return came;
}

int main(int argc, char **argv)
{
	pid_t pid;
	if (argc < 2) {
		fputs("usage: bench-start COMMAND [WORD ...]\n", stderr);
		return 64;
	}
	int listener = listen_somewhere();
	double begun = now_ms();
	if (posix_spawnp(&pid, argv[1], NULL, NULL, argv + 1, environ))
		die("bench-start: spawn");
	bool came = await_request(listener);
	double took = now_ms() - begun;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	if (!came) {
		fprintf(stderr, "bench-start: no request within %d s\n", PATIENCE_MS / 1000);
		return 1;
	}
	printf("%.1f\n", took);
	return 0;
}
