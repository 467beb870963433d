/* SPDX-License-Identifier: MIT */
/*
 * The C library's calls that change a disk or write to a server, in front of the C library's own (LD_PRELOAD): each
 * becomes a disk_call and a system call.  On 64-bit Linux the names with 64 are the same calls, and so are those of
 * _FORTIFY_SOURCE (__open_2); SQLite and weir use some of either.  What stdio writes inside the C library is not seen.
 *
 * To add another one: its system call as make_NAME, and the function by its name, plain and with 64.
 */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define SHOWN         __attribute__((visibility("default")))
#define SAME_AS(name) __attribute__((visibility("default"), alias(#name)))

/* ---- bytes */

static long make_write(const struct disk_call *call)
{
	return syscall(SYS_write, call->fd, call->data, call->n);
}

static long make_pwrite(const struct disk_call *call)
{
	return syscall(SYS_pwrite64, call->fd, call->data, call->n, call->offset);
}

SHOWN ssize_t write(int fd, const void *data, size_t n)
{
	if (!disk_watches())
		return syscall(SYS_write, fd, data, n);
	return disk_do(&(struct disk_call){.op = DISK_WRITE, .fd = fd, .data = data, .n = n, .make = make_write});
}

SHOWN ssize_t pwrite(int fd, const void *data, size_t n, off_t offset)
{
	if (!disk_watches())
		return syscall(SYS_pwrite64, fd, data, n, offset);
	return disk_do(&(struct disk_call){.op = DISK_WRITE,
					   .fd = fd,
					   .data = data,
					   .n = n,
					   .offset = offset,
					   .positioned = true,
					   .make = make_pwrite});
}

SAME_AS(pwrite) ssize_t pwrite64(int fd, const void *data, size_t n, off64_t offset);

static long make_send(const struct disk_call *call)
{
	return syscall(SYS_sendto, call->fd, call->data, call->n, call->arg[0], NULL, 0);
}

/* libpq writes by no other call. */
SHOWN ssize_t send(int fd, const void *data, size_t n, int flags)
{
	struct disk_call call = {.op = DISK_WRITE, .fd = fd, .data = data, .n = n, .arg = {flags}, .make = make_send};
	return disk_watches() ? disk_do(&call) : make_send(&call);
}

/* On regular files a part after the other, which is one of the things that may happen. */
SHOWN ssize_t writev(int fd, const struct iovec *parts, int n)
{
	struct stat st;
	ssize_t sum = 0;
	if (!disk_watches() || fstat(fd, &st) || !S_ISREG(st.st_mode))
		return syscall(SYS_writev, fd, parts, n);
	for (int i = 0; i < n; i++) {
		ssize_t put = parts[i].iov_len ? write(fd, parts[i].iov_base, parts[i].iov_len) : 0;
		if (put < 0)
			return sum ? sum : put;
		sum += put;
		if ((size_t)put < parts[i].iov_len)
			break;
	}
	return sum;
}

SHOWN ssize_t pwritev(int fd, const struct iovec *parts, int n, off_t offset)
{
	ssize_t sum = 0;
	for (int i = 0; i < n; i++) {
		ssize_t put = pwrite(fd, parts[i].iov_base, parts[i].iov_len, offset + sum);
		if (put < 0)
			return sum ? sum : put;
		sum += put;
		if ((size_t)put < parts[i].iov_len)
			break;
	}
	return sum;
}

SAME_AS(pwritev) ssize_t pwritev64(int fd, const struct iovec *parts, int n, off64_t offset);

/* ---- sizes */

static long make_ftruncate(const struct disk_call *call)
{
	return syscall(SYS_ftruncate, call->fd, call->offset);
}

static long make_truncate(const struct disk_call *call)
{
	return syscall(SYS_truncate, call->path, call->offset);
}

SHOWN int ftruncate(int fd, off_t size)
{
	if (!disk_watches())
		return (int)syscall(SYS_ftruncate, fd, size);
	return (int)disk_do(&(struct disk_call){.op = DISK_TRUNCATE, .fd = fd, .offset = size, .make = make_ftruncate});
}

SAME_AS(ftruncate) int ftruncate64(int fd, off64_t size);

SHOWN int truncate(const char *path, off_t size)
{
	char text[PATH_MAX];
	if (!disk_watches() || !disk_path(AT_FDCWD, path, text, sizeof text))
		return (int)syscall(SYS_truncate, path, size);
	return (int)disk_do(&(struct disk_call){
		.op = DISK_TRUNCATE, .fd = -1, .path = text, .offset = size, .make = make_truncate});
}

SAME_AS(truncate) int truncate64(const char *path, off64_t size);

/* Refused, as some file systems do: those who call it have another way. */
SHOWN int fallocate(int fd, int mode, off_t offset, off_t n)
{
	if (!disk_watches())
		return (int)syscall(SYS_fallocate, fd, mode, offset, n);
	errno = EOPNOTSUPP;
	return -1;
}

SAME_AS(fallocate) int fallocate64(int fd, int mode, off64_t offset, off64_t n);

/* ---- syncs */

static long make_fsync(const struct disk_call *call)
{
	return syscall(SYS_fsync, call->fd);
}

static long make_fdatasync(const struct disk_call *call)
{
	return syscall(SYS_fdatasync, call->fd);
}

static long make_syncfs(const struct disk_call *call)
{
	return syscall(SYS_syncfs, call->arg[0]);
}

static long make_sync(const struct disk_call *call)
{
	(void)call;
	return syscall(SYS_sync);
}

SHOWN int fsync(int fd)
{
	return disk_watches() ? (int)disk_do(&(struct disk_call){.op = DISK_SYNC, .fd = fd, .make = make_fsync})
			      : (int)syscall(SYS_fsync, fd);
}

SHOWN int fdatasync(int fd)
{
	return disk_watches() ? (int)disk_do(&(struct disk_call){.op = DISK_SYNC, .fd = fd, .make = make_fdatasync})
			      : (int)syscall(SYS_fdatasync, fd);
}

SHOWN int syncfs(int fd)
{
	return disk_watches() ? (int)disk_do(&(struct disk_call){
					.op = DISK_SYNC_ALL, .fd = -1, .arg = {fd}, .make = make_syncfs})
			      : (int)syscall(SYS_syncfs, fd);
}

SHOWN void sync(void)
{
	if (disk_watches())
		disk_do(&(struct disk_call){.op = DISK_SYNC_ALL, .fd = -1, .make = make_sync});
	else
		syscall(SYS_sync);
}

/* ---- names */

static long make_unlinkat(const struct disk_call *call)
{
	return syscall(SYS_unlinkat, call->arg[0], call->arg[1], call->arg[2]);
}

static long make_renameat2(const struct disk_call *call)
{
	return syscall(SYS_renameat2, call->arg[0], call->arg[1], call->arg[2], call->arg[3], call->arg[4]);
}

static long make_linkat(const struct disk_call *call)
{
	return syscall(SYS_linkat, call->arg[0], call->arg[1], call->arg[2], call->arg[3], call->arg[4]);
}

static long make_mkdirat(const struct disk_call *call)
{
	return syscall(SYS_mkdirat, call->arg[0], call->arg[1], call->arg[2]);
}

static long make_openat(const struct disk_call *call)
{
	return syscall(SYS_openat, call->arg[0], call->arg[1], call->arg[2], call->arg[3]);
}

/* One or two names relative to folders; to: NULL if there is but one. */
static long do_named(struct disk_call *call, int fd, const char *path, int to_fd, const char *to)
{
	char text[PATH_MAX], to_text[PATH_MAX];
	call->fd = -1;
	if (!disk_watches() || !disk_path(fd, path, text, sizeof text) ||
	    (to && !disk_path(to_fd, to, to_text, sizeof to_text)))
		return call->make(call);
	call->path = text;
	call->to = to ? to_text : NULL;
	return disk_do(call);
}

SHOWN int unlinkat(int fd, const char *path, int flags)
{
	return (int)do_named(&(struct disk_call){.op = flags & AT_REMOVEDIR ? DISK_RMDIR : DISK_UNLINK,
						 .arg = {fd, (long)path, flags},
						 .make = make_unlinkat},
			     fd, path, 0, NULL);
}

SHOWN int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

SHOWN int rmdir(const char *path)
{
	return unlinkat(AT_FDCWD, path, AT_REMOVEDIR);
}

SHOWN int remove(const char *path)
{
	int code = unlink(path);
	return code && errno == EISDIR ? rmdir(path) : code;
}

SHOWN int renameat2(int fd, const char *path, int to_fd, const char *to, unsigned flags)
{
	return (int)do_named(&(struct disk_call){.op = DISK_RENAME,
						 .arg = {fd, (long)path, to_fd, (long)to, (long)flags},
						 .make = make_renameat2},
			     fd, path, to_fd, to);
}

SHOWN int renameat(int fd, const char *path, int to_fd, const char *to)
{
	return renameat2(fd, path, to_fd, to, 0);
}

SHOWN int rename(const char *path, const char *to)
{
	return renameat2(AT_FDCWD, path, AT_FDCWD, to, 0);
}

SHOWN int linkat(int fd, const char *path, int to_fd, const char *to, int flags)
{
	return (int)do_named(&(struct disk_call){.op = DISK_LINK,
						 .arg = {fd, (long)path, to_fd, (long)to, flags},
						 .make = make_linkat},
			     fd, path, to_fd, to);
}

SHOWN int link(const char *path, const char *to)
{
	return linkat(AT_FDCWD, path, AT_FDCWD, to, 0);
}

SHOWN int mkdirat(int fd, const char *path, mode_t mode)
{
	return (int)do_named(&(struct disk_call){.op = DISK_MKDIR, .arg = {fd, (long)path, mode}, .make = make_mkdirat},
			     fd, path, 0, NULL);
}

SHOWN int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

/* ---- opening: what creates a file, and what empties one */

static long open_at(int fd, const char *path, int flags, mode_t mode)
{
	struct disk_call call = {.arg = {fd, (long)path, flags, mode}, .make = make_openat};
	struct stat st;
	if (!disk_watches() || !(flags & (O_CREAT | O_TRUNC)) || (flags & O_PATH))
		return make_openat(&call);
	bool there = fstatat(fd, path, &st, 0) == 0;
	if (there && (!(flags & O_TRUNC) || !S_ISREG(st.st_mode) || st.st_size == 0))
		return make_openat(&call);
	call.op = there ? DISK_TRUNCATE : DISK_CREATE;
	return do_named(&call, fd, path, 0, NULL);
}

SHOWN int openat(int fd, const char *path, int flags, ...)
{
	mode_t mode = 0;
	if (flags & (O_CREAT | __O_TMPFILE)) {
		va_list args;
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return (int)open_at(fd, path, flags, mode);
}

SHOWN int open(const char *path, int flags, ...)
{
	mode_t mode = 0;
	if (flags & (O_CREAT | __O_TMPFILE)) {
		va_list args;
		va_start(args, flags);
		mode = va_arg(args, mode_t);
		va_end(args);
	}
	return (int)open_at(AT_FDCWD, path, flags, mode);
}

SHOWN int creat(const char *path, mode_t mode)
{
	return (int)open_at(AT_FDCWD, path, O_CREAT | O_WRONLY | O_TRUNC, mode);
}

SHOWN int __open_2(const char *path, int flags)
{
	return (int)open_at(AT_FDCWD, path, flags, 0);
}

SHOWN int __openat_2(int fd, const char *path, int flags)
{
	return (int)open_at(fd, path, flags, 0);
}

SAME_AS(openat) int openat64(int fd, const char *path, int flags, ...);
SAME_AS(open) int open64(const char *path, int flags, ...);
SAME_AS(creat) int creat64(const char *path, mode_t mode);
SAME_AS(__open_2) int __open64_2(const char *path, int flags);
SAME_AS(__openat_2) int __openat64_2(int fd, const char *path, int flags);
