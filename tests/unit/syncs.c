/* SPDX-License-Identifier: MIT */
/* The linker takes these before libc's.  On several threads: a sink's, and that of the test. */
#include "unit/syncs.h"

#include <errno.h>
#include <stdatomic.h>
#include <sys/syscall.h>
#include <unistd.h>

static atomic_uint seen;
static atomic_bool failing;

unsigned syncs_seen(void)
{
	return atomic_load(&seen);
}

void syncs_fail(bool fail)
{
	atomic_store(&failing, fail);
}

static int sync_fd(long call, int fd)
{
	atomic_fetch_add(&seen, 1);
	if (!atomic_load(&failing))
		return (int)syscall(call, fd);
	errno = EIO;
	return -1;
}

__attribute__((visibility("default"))) int fsync(int fd)
{
	return sync_fd(SYS_fsync, fd);
}

__attribute__((visibility("default"))) int fdatasync(int fd)
{
	return sync_fd(SYS_fdatasync, fd);
}
