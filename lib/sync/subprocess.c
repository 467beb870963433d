/* SPDX-License-Identifier: MIT */
/*
 * Starting and ending a child process.
 *
 * posix_spawn(), since a threaded process must not fork without exec; a pidfd, since SIGCHLD belongs to the
 * application.  The child gets one end of a socket pair as its input and output, /dev/null for its complaints (or, if
 * somebody reads those, for its input), no other descriptor, default signal handling, and a process group of its own:
 * Ctrl-C does not reach it, and what it started is killed together with it.  It ends with its parent because it then
 * reads end of file.
 */
#include "sync/subprocess.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define UNDER_SANITIZER 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define UNDER_SANITIZER 1
#endif
#endif
#ifndef UNDER_SANITIZER
#define UNDER_SANITIZER 0
#endif

/* complaints: -1 if nobody reads them. */
static int add_actions(posix_spawn_file_actions_t *actions, int fd, int complaints)
{
	int code = posix_spawn_file_actions_adddup2(actions, fd, STDOUT_FILENO);
	if (!code && complaints >= 0)
		code = posix_spawn_file_actions_adddup2(actions, complaints, STDERR_FILENO);
	else if (!code)
		code = posix_spawn_file_actions_addopen(actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
	if (!code && complaints >= 0)
		code = posix_spawn_file_actions_addopen(actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	else if (!code)
		code = posix_spawn_file_actions_adddup2(actions, STDOUT_FILENO, STDIN_FILENO);
	if (!code)
		code = posix_spawn_file_actions_addclosefrom_np(actions, STDERR_FILENO + 1);
	return code;
}

static int set_attributes(posix_spawnattr_t *attributes)
{
	static const int defaults[] = {SIGPIPE, SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGCHLD, SIGUSR1, SIGUSR2};
	sigset_t none, reset;
	sigemptyset(&none);
	sigemptyset(&reset);
	for (size_t i = 0; i < sizeof defaults / sizeof defaults[0]; i++)
		sigaddset(&reset, defaults[i]);
	posix_spawnattr_setsigmask(attributes, &none);
	posix_spawnattr_setsigdefault(attributes, &reset);
	posix_spawnattr_setpgroup(attributes, 0);
	return posix_spawnattr_setflags(attributes,
					POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
}

static int spawn(const struct weir_child_options *opts, int fd, int complaints, pid_t *ret_pid)
{
	static char *const nothing[] = {NULL};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	if (posix_spawn_file_actions_init(&actions))
		return WEIR_ENOMEM;
	if (posix_spawnattr_init(&attributes)) {
		posix_spawn_file_actions_destroy(&actions);
		return WEIR_ENOMEM;
	}
	int code = add_actions(&actions, fd, complaints);
	if (!code)
		code = set_attributes(&attributes);
	if (!code)
		code = posix_spawn(ret_pid, opts->argv[0], &actions, &attributes, (char *const *)opts->argv,
				   opts->envp ? (char *const *)opts->envp : nothing);
	posix_spawnattr_destroy(&attributes);
	posix_spawn_file_actions_destroy(&actions);
	return -code;
}

/* Before its first request the child has hardly begun, so setting the limit from outside is early enough.  Sanitizers
 * reserve more address space than any limit allows. */
static void limit_memory(pid_t pid, size_t bytes)
{
	const struct rlimit limit = {bytes, bytes};
	if (bytes && !UNDER_SANITIZER)
		prlimit(pid, RLIMIT_AS, &limit, NULL);
}

/* Its wait status. */
static int reap(pid_t pid)
{
	int status = 0;
	while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

int weir__subprocess_start(const struct weir_child_options *opts, int complaints, struct weir__subprocess *ret_process)
{
	struct weir__subprocess process = {.pidfd = -1};
	int pair[2];
	/* posix_spawn() says so, too, but not under valgrind, and on a system without vfork(). */
	if (access(opts->argv[0], X_OK))
		return -errno;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	process.fd = pair[0];
	int code = fcntl(pair[0], F_SETFL, O_NONBLOCK) ? -errno : weir_io_open(pair[0], &process.io);
	if (!code)
		code = spawn(opts, pair[1], complaints, &process.pid);
	close(pair[1]);
	if (code)
		goto fail;
	limit_memory(process.pid, opts->memory_bytes);
	process.pidfd = pidfd_open(process.pid, 0);
	if (process.pidfd < 0 && errno != ENOSYS) {
		code = -errno;
		goto fail;
	}
	*ret_process = process;
	return 0;
fail:
	weir_io_close(process.io);
	close(process.fd);
	if (process.pid) {
		kill(-process.pid, SIGKILL);
		reap(process.pid);
	}
	return code;
}

static bool has_ended(pid_t pid)
{
	siginfo_t info = {0};
	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) || info.si_pid;
}

/* io watches the pidfd; it is NULL where there is none (before Linux 5.3, under valgrind). */
static void await_end(pid_t pid, struct weir_io *io, weir_nsec deadline)
{
	while (io && weir_io_wait(io, WEIR_READABLE, deadline) == 0)
		;
	while (!io && !has_ended(pid) && (deadline == WEIR_FOREVER || weir_now() < deadline))
		weir_sleep(WEIR_MSEC);
}

struct weir__end weir__subprocess_end(struct weir__subprocess *process, weir_nsec grace)
{
	struct weir__end end = {.exit_code = -1};
	struct weir_io *io = NULL;
	weir_io_close(process->io);
	close(process->fd);
	if (process->pidfd >= 0)
		weir_io_open(process->pidfd, &io);
	if (grace > 0)
		await_end(process->pid, io, weir_after(grace));
	bool ended = has_ended(process->pid);
	/* Until it is reaped its number is no one else's; the rest of its group goes, too. */
	kill(-process->pid, SIGKILL);
	await_end(process->pid, io, WEIR_FOREVER);
	int status = reap(process->pid);
	if (ended && WIFEXITED(status))
		end.exit_code = WEXITSTATUS(status);
	else if (ended && WIFSIGNALED(status))
		end.signal = WTERMSIG(status);
	weir_io_close(io);
	if (process->pidfd >= 0)
		close(process->pidfd);
	*process = (struct weir__subprocess){0};
	return end;
}

void weir__strings_free(const char *const *strings)
{
	for (size_t i = 0; strings && strings[i]; i++)
		free((void *)strings[i]);
	free((void *)strings);
}

const char *const *weir__strings_copy(const char *const *strings)
{
	size_t n = 0;
	while (strings[n])
		n++;
	const char **copy = calloc(n + 1, sizeof *copy);
	for (size_t i = 0; copy && i < n; i++) {
		copy[i] = strdup(strings[i]);
		if (!copy[i]) {
			weir__strings_free(copy);
			return NULL;
		}
	}
	return copy;
}
