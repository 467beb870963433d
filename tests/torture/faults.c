/* SPDX-License-Identifier: MIT */
/* The wrappers: the linker sends the calls of the library here, and __real_x is the true one. */
#include "torture/faults.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <uv.h>

/* Set before the threads that read them begin; counted by any thread, order does not matter. */
static enum fault_kind armed;
static size_t first_to_fail, last_to_fail;
static atomic_size_t calls, fired;
static atomic_long live;

void faults_arm(enum fault_kind kind, size_t first, size_t last)
{
	armed = kind;
	first_to_fail = first;
	last_to_fail = last;
	calls = fired = 0;
}

size_t faults_calls(void)
{
	return calls;
}

size_t faults_fired(void)
{
	return fired;
}

bool faults_are(enum fault_kind kind)
{
	return kind == armed;
}

bool faults_last(void)
{
	return last_to_fail == SIZE_MAX;
}

long faults_live(void)
{
	return live;
}

static bool fails(enum fault_kind kind)
{
	if (kind != armed)
		return false;
	size_t n = ++calls;
	if (n < first_to_fail || n > last_to_fail)
		return false;
	fired++;
	return true;
}

static bool fails_with(enum fault_kind kind, int error)
{
	if (!fails(kind))
		return false;
	errno = error;
	return true;
}

/* `WRAP(int, poll, (…))` declares the true poll and begins the one that is called instead. */
#define WRAP(type, name, params)                                                                                       \
	type __real_##name params;                                                                                     \
	type __wrap_##name params;                                                                                     \
	type __wrap_##name params

/* ---- memory */

static void *counted(void *memory)
{
	live += memory != NULL;
	return memory;
}

WRAP(void *, malloc, (size_t n))
{
	return fails_with(FAULT_MEMORY, ENOMEM) ? NULL : counted(__real_malloc(n));
}

WRAP(void *, calloc, (size_t n, size_t size))
{
	return fails_with(FAULT_MEMORY, ENOMEM) ? NULL : counted(__real_calloc(n, size));
}

WRAP(void *, realloc, (void *memory, size_t n))
{
	if (fails_with(FAULT_MEMORY, ENOMEM))
		return NULL;
	bool is_new = !memory;
	void *result = __real_realloc(memory, n);
	return is_new ? counted(result) : result;
}

WRAP(char *, strdup, (const char *text))
{
	return fails_with(FAULT_MEMORY, ENOMEM) ? NULL : counted(__real_strdup(text));
}

WRAP(void, free, (void *memory))
{
	live -= memory != NULL;
	__real_free(memory);
}

WRAP(void *, mmap64, (void *at, size_t n, int protection, int flags, int fd, off_t offset))
{
	if (fails_with(FAULT_MEMORY, ENOMEM))
		return MAP_FAILED;
	void *result = __real_mmap64(at, n, protection, flags, fd, offset);
	live += result != MAP_FAILED;
	return result;
}

WRAP(int, munmap, (void *at, size_t n))
{
	live--;
	return __real_munmap(at, n);
}

/* ---- processes and threads */

WRAP(int, posix_spawn_file_actions_init, (posix_spawn_file_actions_t * actions))
{
	return fails(FAULT_MEMORY) ? ENOMEM : __real_posix_spawn_file_actions_init(actions);
}

WRAP(int, posix_spawn_file_actions_adddup2, (posix_spawn_file_actions_t * actions, int from, int to))
{
	return fails(FAULT_MEMORY) ? ENOMEM : __real_posix_spawn_file_actions_adddup2(actions, from, to);
}

WRAP(int, posix_spawn_file_actions_addopen,
     (posix_spawn_file_actions_t * actions, int fd, const char *path, int flags, mode_t mode))
{
	return fails(FAULT_MEMORY) ? ENOMEM : __real_posix_spawn_file_actions_addopen(actions, fd, path, flags, mode);
}

WRAP(int, posix_spawn_file_actions_addclosefrom_np, (posix_spawn_file_actions_t * actions, int from))
{
	return fails(FAULT_MEMORY) ? ENOMEM : __real_posix_spawn_file_actions_addclosefrom_np(actions, from);
}

WRAP(int, posix_spawnattr_init, (posix_spawnattr_t * attributes))
{
	return fails(FAULT_MEMORY) ? ENOMEM : __real_posix_spawnattr_init(attributes);
}

WRAP(int, posix_spawn,
     (pid_t * ret_pid, const char *path, const posix_spawn_file_actions_t *actions, const posix_spawnattr_t *attributes,
      char *const argv[], char *const envp[]))
{
	return fails(FAULT_SYSTEM) ? EAGAIN : __real_posix_spawn(ret_pid, path, actions, attributes, argv, envp);
}

WRAP(int, pthread_create, (pthread_t * ret_thread, const pthread_attr_t *attributes, void *(*fn)(void *), void *arg))
{
	return fails(FAULT_SYSTEM) ? EAGAIN : __real_pthread_create(ret_thread, attributes, fn, arg);
}

/* A child that cannot be watched is reaped at once: just when a signal comes. */
static bool interrupt_next_wait;

WRAP(int, pidfd_open, (pid_t pid, unsigned flags))
{
	interrupt_next_wait = fails_with(FAULT_SYSTEM, EMFILE);
	if (interrupt_next_wait || fails_with(FAULT_OLD, ENOSYS))
		return -1;
	return __real_pidfd_open(pid, flags);
}

WRAP(pid_t, waitpid, (pid_t pid, int *ret_status, int options))
{
	if (interrupt_next_wait || fails(FAULT_INTERRUPT)) {
		interrupt_next_wait = false;
		errno = EINTR;
		return -1;
	}
	return __real_waitpid(pid, ret_status, options);
}

/* ---- descriptors */

WRAP(int, socketpair, (int domain, int type, int protocol, int fds[2]))
{
	return fails_with(FAULT_SYSTEM, EMFILE) ? -1 : __real_socketpair(domain, type, protocol, fds);
}

WRAP(int, access, (const char *path, int mode))
{
	return fails_with(FAULT_SYSTEM, ENOMEM) ? -1 : __real_access(path, mode);
}

WRAP(int, uv_loop_init, (uv_loop_t * loop))
{
	return fails(FAULT_SYSTEM) ? UV_EMFILE : __real_uv_loop_init(loop);
}

WRAP(int, uv_async_init, (uv_loop_t * loop, uv_async_t *async, uv_async_cb callback))
{
	return fails(FAULT_SYSTEM) ? UV_EMFILE : __real_uv_async_init(loop, async, callback);
}

WRAP(int, uv_poll_init, (uv_loop_t * loop, uv_poll_t *poll, int fd))
{
	return fails(FAULT_SYSTEM) ? UV_ENOMEM : __real_uv_poll_init(loop, poll, fd);
}

/* ---- kernels */

WRAP(int, madvise, (void *at, size_t n, int advice))
{
	return fails_with(FAULT_OLD, EINVAL) ? -1 : __real_madvise(at, n, advice);
}

WRAP(int, mprotect, (void *at, size_t n, int protection))
{
	return fails_with(FAULT_OLD, ENOMEM) ? -1 : __real_mprotect(at, n, protection);
}

WRAP(FILE *, fopen64, (const char *path, const char *mode))
{
	return fails_with(FAULT_OLD, ENOENT) ? NULL : __real_fopen64(path, mode);
}

/* The library calls it for epoll_pwait2() alone, which has six arguments. */
long __real_syscall(long number, ...);
long __wrap_syscall(long number, ...);
long __wrap_syscall(long number, ...)
{
	va_list args;
	long a[6];
	va_start(args, number);
	for (int i = 0; i < 6; i++)
		a[i] = va_arg(args, long);
	va_end(args);
	if (fails_with(FAULT_OLD, ENOSYS) || fails_with(FAULT_INTERRUPT, EINTR))
		return -1;
	return __real_syscall(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

WRAP(int, poll, (struct pollfd * fds, nfds_t n, int timeout))
{
	return fails_with(FAULT_INTERRUPT, EINTR) ? -1 : __real_poll(fds, n, timeout);
}

/* ---- reading and writing */

static bool transfer_fails(int hard)
{
	return fails_with(FAULT_INTERRUPT, EINTR) || fails_with(FAULT_AGAIN, EAGAIN) || fails_with(FAULT_HARD, hard);
}

static size_t shortened(size_t n)
{
	return n > 1 && fails(FAULT_SHORT) ? 1 : n;
}

WRAP(ssize_t, read, (int fd, void *buf, size_t n))
{
	return transfer_fails(EIO) ? -1 : __real_read(fd, buf, shortened(n));
}

WRAP(ssize_t, write, (int fd, const void *buf, size_t n))
{
	return transfer_fails(EIO) ? -1 : __real_write(fd, buf, shortened(n));
}

WRAP(ssize_t, recv, (int fd, void *buf, size_t n, int flags))
{
	return transfer_fails(ECONNRESET) ? -1 : __real_recv(fd, buf, shortened(n), flags);
}

WRAP(ssize_t, send, (int fd, const void *buf, size_t n, int flags))
{
	return transfer_fails(EPIPE) ? -1 : __real_send(fd, buf, shortened(n), flags);
}

int faults_socketpair(int fds[2])
{
	return __real_socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds);
}

int faults_no_child_left(void)
{
	return __real_waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD;
}
