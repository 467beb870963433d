/* SPDX-License-Identifier: MIT */
/*
 * Compiles jq programs by asking `weir-jq --check`, which reads the program from its standard input: exit 0 if it
 * compiles, 1 with one line on standard error if not.  A process of its own, since libjq is another program's library
 * and a compile can run away; it gets an empty environment and five seconds.  A few run at a time, for each keeps a run
 * waiting: nothing may be opened before the last one has said yes.
 *
 * A process that says neither (it was killed from outside, say) is started once more; after that, and where none can be
 * started, the program may still be right: the failure is WEIR_EDIED, not WEIR_EINVAL.
 */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "spec/spec.h"

enum { PROGRAM_BYTES_MAX = 100000, CHECK_MS = 5000, CONCURRENCY = 4 };

/* One with a comment at its end, and none that is of definitions alone. */
static char *copy_program(const char *program, bool inner)
{
	char *copy;
	if (!inner)
		return strdup(program);
	return asprintf(&copy, "(%s\n)", program) < 0 ? NULL : copy;
}

int spec_programs_add(struct spec_load *load, const char *program, bool inner, int line, int column)
{
	if (strlen(program) > PROGRAM_BYTES_MAX)
		return spec_fail(load, line, column, "the jq program has more than 100,000 bytes");
	struct spec_program *programs = reallocarray(load->programs, load->program_count + 1, sizeof *programs);
	if (!programs)
		return spec_fail_memory(load);
	load->programs = programs;
	programs[load->program_count] = (struct spec_program){copy_program(program, inner), line, column};
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

/* A file without a name that holds the program, to be read from its beginning; or a negative code. */
static int open_program(const char *program)
{
	size_t n = strlen(program), done = 0;
	int fd = memfd_create("program", MFD_CLOEXEC);
	while (fd >= 0 && done < n) {
		ssize_t written = pwrite(fd, program + done, n - done, (off_t)done);
		if (written < 0 && errno != EINTR) {
			int code = -errno;
			close(fd);
			return code;
		}
		done += written > 0 ? (size_t)written : 0;
	}
	return fd < 0 ? -errno : fd;
}

/* program and errors: descriptors. */
static int start(const char *path, int program, int errors, pid_t *ret_pid)
{
	char *argv[] = {(char *)(uintptr_t)path, "--check", NULL}, *env[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, all;
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, program, STDIN_FILENO);
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

/* A process that checks a program. */
struct check {
	pid_t pid;
	int from;  /* what it says */
	int pidfd; /* -1 where a kernel has none */
	struct timespec begun;
	int code; /* of the start; negative: there is no process */
};

static void start_check(struct check *check, const char *path, const char *program)
{
	int fds[2], file = open_program(program);
	*check = (struct check){.from = -1, .pidfd = -1};
	if (file < 0 || pipe2(fds, O_CLOEXEC) < 0) {
		check->code = file < 0 ? file : -errno;
		if (file >= 0)
			close(file);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &check->begun);
	check->code = start(path, file, fds[1], &check->pid);
	close(file);
	close(fds[1]);
	check->from = fds[0];
	if (!check->code)
		check->pidfd = pidfd_open(check->pid, 0);
}

/* Its wait status, or 0 if it was never there; without a kill it has ended. */
static int end_check(struct check *check, bool kill_it)
{
	int status = 0;
	if (!check->code && kill_it)
		kill(check->pid, SIGKILL);
	while (!check->code && waitpid(check->pid, &status, 0) < 0 && errno == EINTR)
		;
	if (check->pidfd >= 0)
		close(check->pidfd);
	if (check->from >= 0)
		close(check->from);
	return status;
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
static bool listen_to(const struct check *check, char *text, size_t room)
{
	struct pollfd fds[2] = {{check->from, POLLIN, 0}, {check->pidfd, POLLIN, 0}};
	size_t n = 0;
	while (fds[0].fd >= 0 || fds[1].fd >= 0) {
		int ready = poll(fds, 2, milliseconds_left(&check->begun));
		if (ready == 0)
			return false;
		if (fds[0].revents) {
			char spare[256];
			ssize_t got = n + 1 < room ? read(check->from, text + n, room - n - 1)
						   : read(check->from, spare, sizeof spare);
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

/* It was not checked: that is not the config's fault. */
static int fail_unchecked(struct spec_load *load, const struct spec_program *p, const char *why)
{
	bool is_absent = access(load->opts->jq_path, F_OK);
	spec_error(load, p->line, p->column, "cannot check the jq program with %s: %s%s", load->opts->jq_path, why,
		   is_absent ? "; it belongs beside weir" : "");
	load->err->code = WEIR_EDIED;
	return WEIR_EDIED;
}

static const char *describe_end(int status, char text[64])
{
	const char *name = WIFSIGNALED(status) ? sigabbrev_np(WTERMSIG(status)) : NULL;
	if (WIFSIGNALED(status))
		snprintf(text, 64, "it was killed by %s%s, twice", name ? "SIG" : "a signal", name ? name : "");
	else
		snprintf(text, 64, "it exited with code %d", WEXITSTATUS(status));
	return text;
}

/* Waits for its verdict: 0, or the failure is recorded.  WEIR_EAGAIN: it was killed, and is to be started again. */
static int finish_check(struct spec_load *load, struct check *check, const struct spec_program *p, bool again)
{
	char text[400] = "", end[64];
	bool ended = check->code || listen_to(check, text, sizeof text);
	int code = check->code, status = end_check(check, !ended);
	if (!ended)
		return spec_fail(load, p->line, p->column, "the jq program takes more than 5 s to compile");
	if (code)
		return fail_unchecked(load, p, weir_strerror(code));
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return 0;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 1)
		return spec_fail(load, p->line, p->column, "the jq program does not compile: %s",
				 text[0] ? text : "no reason given");
	if (WIFSIGNALED(status) && !again)
		return WEIR_EAGAIN;
	return fail_unchecked(load, p, text[0] ? text : describe_end(status, end));
}

int spec_programs_check(struct spec_load *load)
{
	struct check checks[CONCURRENCY]; /* of program i at i % CONCURRENCY */
	size_t started = 0, done = 0;
	int code = 0;
	if (!load->opts || !load->opts->jq_path)
		return 0;
	while (done < load->program_count && code == 0) {
		for (; started < load->program_count && started < done + CONCURRENCY; started++)
			start_check(&checks[started % CONCURRENCY], load->opts->jq_path,
				    load->programs[started].program);
		code = finish_check(load, &checks[done % CONCURRENCY], &load->programs[done], false);
		if (code == WEIR_EAGAIN) {
			start_check(&checks[done % CONCURRENCY], load->opts->jq_path, load->programs[done].program);
			code = finish_check(load, &checks[done % CONCURRENCY], &load->programs[done], true);
		}
		done++;
	}
	for (; done < started; done++)
		end_check(&checks[done % CONCURRENCY], true);
	return code;
}
