/* SPDX-License-Identifier: MIT */
/*
 * A process as on another machine, or with another clock (LD_PRELOAD).  The environment says how:
 *
 *     MACHINE_BOOT=FILE     what it reads as its boot id (/proc/sys/kernel/random/boot_id)
 *     MACHINE_NAME=TEXT     its host's name
 *     MACHINE_SPACE=N       its process namespace (/proc/self/ns/pid)
 *     MACHINE_CLOCK=FILE    eight bytes: by how many ms its wall clock is ahead, at any moment
 *     MACHINE_PARENT=PID    started by this process, it ends with it: nothing is left of a test that was killed
 */
#undef _FILE_OFFSET_BITS
#undef _FORTIFY_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#define SHOWN         __attribute__((visibility("default")))
#define SAME_AS(name) __attribute__((visibility("default"), alias(#name)))

static const volatile int64_t *ahead_ms; /* the test writes it */

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("MACHINE_CLOCK"), *parent = getenv("MACHINE_PARENT");
	int fd = path ? (int)syscall(SYS_openat, AT_FDCWD, path, O_RDONLY | O_CLOEXEC) : -1;
	if (parent && atoi(parent) == getppid())
		prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0)
		return;
	void *at = mmap(NULL, sizeof *ahead_ms, PROT_READ, MAP_SHARED, fd, 0);
	ahead_ms = at == MAP_FAILED ? NULL : at;
	close(fd);
}

/* ---- the machine */

SHOWN int open(const char *path, int flags, ...)
{
	va_list more;
	va_start(more, flags);
	int mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(more, int) : 0;
	va_end(more);
	const char *boot = strcmp(path, "/proc/sys/kernel/random/boot_id") ? NULL : getenv("MACHINE_BOOT");
	return (int)syscall(SYS_openat, AT_FDCWD, boot ? boot : path, flags, mode);
}

SAME_AS(open) int open64(const char *path, int flags, ...);

SHOWN int __open_2(const char *path, int flags)
{
	return open(path, flags);
}

SAME_AS(__open_2) int __open64_2(const char *path, int flags);

SHOWN ssize_t readlink(const char *restrict path, char *restrict text, size_t room)
{
	const char *space = strcmp(path, "/proc/self/ns/pid") ? NULL : getenv("MACHINE_SPACE");
	if (!space)
		return syscall(SYS_readlinkat, AT_FDCWD, path, text, room);
	int n = snprintf(text, room, "pid:[%s]", space);
	return n < (int)room ? n : (ssize_t)room;
}

SHOWN ssize_t __readlink_chk(const char *path, char *text, size_t room, size_t size)
{
	(void)size;
	return readlink(path, text, room);
}

SHOWN int gethostname(char *text, size_t room)
{
	const char *name = getenv("MACHINE_NAME");
	struct utsname own;
	if (!name && uname(&own))
		return -1;
	snprintf(text, room, "%s", name ? name : own.nodename);
	return 0;
}

SHOWN int __gethostname_chk(char *text, size_t room, size_t size)
{
	(void)size;
	return gethostname(text, room);
}

/* ---- the clock */

SHOWN int clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	int result = (int)syscall(SYS_clock_gettime, clock, ret_time);
	if (!ahead_ms || (clock != CLOCK_REALTIME && clock != CLOCK_REALTIME_COARSE))
		return result;
	int64_t ns = ret_time->tv_nsec + *ahead_ms % 1000 * 1000000;
	ret_time->tv_sec += *ahead_ms / 1000 + (ns >= 1000000000) - (ns < 0);
	ret_time->tv_nsec = (long)((ns + 1000000000) % 1000000000);
	return result;
}

SHOWN int gettimeofday(struct timeval *restrict ret_time, void *restrict zone)
{
	struct timespec now;
	(void)zone;
	int result = clock_gettime(CLOCK_REALTIME, &now);
	*ret_time = (struct timeval){now.tv_sec, now.tv_nsec / 1000};
	return result;
}

SHOWN time_t time(time_t *ret_time)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (ret_time)
		*ret_time = now.tv_sec;
	return now.tv_sec;
}
