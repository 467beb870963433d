/* SPDX-License-Identifier: MIT */
/*
 * Compiles jq programs by asking `weir-jq --check PROGRAM`: exit 0 if it compiles, 1 with one line on standard error if
 * not.  A process of its own, since libjq is another program's library and a compile can run away; it gets an empty
 * environment and five seconds.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "spec/spec.h"

enum { PROGRAM_BYTES_MAX = 100000, CHECK_MS = 5000 };

int spec_programs_add(struct spec_load *load, const char *program, int line, int column)
{
	if (strlen(program) > PROGRAM_BYTES_MAX)
		return spec_fail(load, line, column, "a jq program of more than 100000 bytes, expected a shorter one");
	struct spec_program *programs = reallocarray(load->programs, load->program_count + 1, sizeof *programs);
	if (!programs)
		return spec_fail_memory(load);
	load->programs = programs;
	programs[load->program_count] = (struct spec_program){strdup(program), line, column};
	if (!programs[load->program_count].program)
		return spec_fail_memory(load);
	load->program_count++;
	return 0;
}

void spec_programs_free(struct spec_load *load)
{
	for (size_t i = 0; i < load->program_count; i++)
		free(load->programs[i].program);
	free(load->programs);
	load->programs = NULL;
	load->program_count = 0;
}

static int start(const char *path, const char *program, int errors, pid_t *ret_pid)
{
	char *argv[] = {(char *)(uintptr_t)path, "--check", (char *)(uintptr_t)program, NULL}, *env[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&actions, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, errors, STDERR_FILENO);
	posix_spawnattr_init(&attr);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	int code = -posix_spawn(ret_pid, path, &actions, &attr, argv, env);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	return code;
}

static int milliseconds_left(const struct timespec *begin)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	long gone = (now.tv_sec - begin->tv_sec) * 1000 + (now.tv_nsec - begin->tv_nsec) / 1000000;
	return gone >= CHECK_MS ? 0 : (int)(CHECK_MS - gone);
}

/* Reads what it says until it ends, both within the time.  false: the time is up.  Where a kernel has no pidfd (-1,
 * which poll passes over) the end of what it says has to do. */
static bool listen_to(int from, int pidfd, char *text, size_t room)
{
	struct timespec begin;
	struct pollfd fds[2] = {{from, POLLIN, 0}, {pidfd, POLLIN, 0}};
	size_t n = 0;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		int ready = poll(fds, 2, milliseconds_left(&begin));
		if (ready == 0)
			return false;
		if (fds[0].revents) {
			char spare[256];
			ssize_t got =
				n + 1 < room ? read(from, text + n, room - n - 1) : read(from, spare, sizeof spare);
			if (got > 0 && n + 1 < room)
				n += (size_t)got;
			if (got == 0)
				fds[0].fd = -1;
		}
		if (fds[1].revents)
			fds[1].fd = -1;
	}
	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	return true;
}

/* The exit status, or -ETIMEDOUT. */
static int supervise(pid_t pid, int from, char *text, size_t room)
{
	int status = 0, pidfd = pidfd_open(pid, 0);
	bool ended = listen_to(from, pidfd, text, room);
	if (!ended)
		kill(pid, SIGKILL);
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (pidfd >= 0)
		close(pidfd);
	return !ended ? -ETIMEDOUT : WIFEXITED(status) ? WEXITSTATUS(status) : -ECHILD;
}

static int check_program(struct spec_load *load, const struct spec_program *p)
{
	const char *path = load->opts->jq_path;
	char text[400] = "";
	int fds[2];
	pid_t pid;
	if (pipe2(fds, O_CLOEXEC) < 0)
		return spec_fail(load, p->line, p->column, "no descriptor left to check the jq program");
	int code = start(path, p->program, fds[1], &pid);
	close(fds[1]);
	if (code == 0)
		code = supervise(pid, fds[0], text, sizeof text);
	else
		snprintf(text, sizeof text, "%s", weir_strerror(code));
	close(fds[0]);
	if (code == 0)
		return 0;
	if (code == 1)
		return spec_fail(load, p->line, p->column, "the jq program does not compile: %s",
				 text[0] ? text : "no reason given");
	if (code == -ETIMEDOUT)
		return spec_fail(load, p->line, p->column,
				 "the jq program takes more than 5 s to compile, expected a simpler one");
	return spec_fail(load, p->line, p->column, "cannot check the jq program with %s: %s", path,
			 text[0] ? text : "it failed");
}

int spec_programs_check(struct spec_load *load)
{
	int code = 0;
	if (!load->opts || !load->opts->jq_path)
		return 0;
	for (size_t i = 0; i < load->program_count && code == 0; i++)
		code = check_program(load, &load->programs[i]);
	return code;
}
