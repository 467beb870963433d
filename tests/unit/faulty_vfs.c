/* SPDX-License-Identifier: MIT */
#include "faulty_vfs.h"

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

struct faulty_file {
	sqlite3_file base;
	const char *path; /* SQLite's, as long as the file is open; NULL: a temporary one */
	sqlite3_file *real;
};

static sqlite3_vfs *below;
static struct faulty_plan armed;
static int calls, last_errno;
static bool fired;

void faulty_arm(const struct faulty_plan *plan)
{
	armed = *plan;
	calls = 0;
	fired = false;
	last_errno = 0;
}

bool faulty_fired(void)
{
	return fired;
}

static int fail(enum faulty_call call)
{
	if (armed.call != call || ++calls != armed.nth)
		return SQLITE_OK;
	fired = true;
	last_errno = armed.system;
	return armed.rc;
}

static sqlite3_file *real(sqlite3_file *file)
{
	return ((struct faulty_file *)file)->real;
}

static int close_file(sqlite3_file *file)
{
	return real(file)->pMethods->xClose(real(file));
}

static int read_file(sqlite3_file *file, void *bytes, int n, sqlite3_int64 at)
{
	return real(file)->pMethods->xRead(real(file), bytes, n, at);
}

static int write_file(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at)
{
	int rc = fail(FAULTY_WRITE);
	int done = real(file)->pMethods->xWrite(real(file), bytes, rc ? n / 2 : n, at);
	return rc ? rc : done;
}

static int truncate_file(sqlite3_file *file, sqlite3_int64 size)
{
	return real(file)->pMethods->xTruncate(real(file), size);
}

static void keep_durable(const char *path)
{
	char name[600];
	struct stat st;
	snprintf(name, sizeof name, "%s.durable", path);
	int from = open(path, O_RDONLY | O_CLOEXEC), to = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	if (from < 0 || to < 0 || fstat(from, &st) || sendfile(to, from, NULL, (size_t)st.st_size) != st.st_size)
		abort();
	close(from);
	close(to);
}

static int sync_file(sqlite3_file *file, int flags)
{
	(void)flags;
	int rc = fail(FAULTY_SYNC);
	if (!rc && ((struct faulty_file *)file)->path)
		keep_durable(((struct faulty_file *)file)->path);
	return rc;
}

static int file_size(sqlite3_file *file, sqlite3_int64 *ret_size)
{
	return real(file)->pMethods->xFileSize(real(file), ret_size);
}

static int lock_file(sqlite3_file *file, int level)
{
	return real(file)->pMethods->xLock(real(file), level);
}

static int unlock_file(sqlite3_file *file, int level)
{
	return real(file)->pMethods->xUnlock(real(file), level);
}

static int is_reserved(sqlite3_file *file, int *ret_is)
{
	return real(file)->pMethods->xCheckReservedLock(real(file), ret_is);
}

static int control(sqlite3_file *file, int which, void *arg)
{
	return real(file)->pMethods->xFileControl(real(file), which, arg);
}

static int sector_size(sqlite3_file *file)
{
	return real(file)->pMethods->xSectorSize(real(file));
}

static int characteristics(sqlite3_file *file)
{
	return real(file)->pMethods->xDeviceCharacteristics(real(file));
}

static const sqlite3_io_methods methods = {
	.iVersion = 1,
	.xClose = close_file,
	.xRead = read_file,
	.xWrite = write_file,
	.xTruncate = truncate_file,
	.xSync = sync_file,
	.xFileSize = file_size,
	.xLock = lock_file,
	.xUnlock = unlock_file,
	.xCheckReservedLock = is_reserved,
	.xFileControl = control,
	.xSectorSize = sector_size,
	.xDeviceCharacteristics = characteristics,
};

static int open_file(sqlite3_vfs *vfs, const char *path, sqlite3_file *file, int flags, int *ret_flags)
{
	struct faulty_file *made = (struct faulty_file *)file;
	(void)vfs;
	made->path = path;
	made->real = (sqlite3_file *)(made + 1);
	int rc = below->xOpen(below, path, made->real, flags, ret_flags);
	made->base.pMethods = made->real->pMethods ? &methods : NULL;
	return rc;
}

/* A deletion is durable at once: SQLite syncs the folder, or could do without. */
static int delete_file(sqlite3_vfs *vfs, const char *path, int sync)
{
	char name[600];
	(void)vfs;
	snprintf(name, sizeof name, "%s.durable", path);
	unlink(name);
	return below->xDelete(below, path, sync);
}

static int last_error(sqlite3_vfs *vfs, int n, char *text)
{
	(void)vfs;
	return last_errno ? last_errno : below->xGetLastError(below, n, text);
}

void faulty_install(void)
{
	static sqlite3_vfs vfs;
	below = sqlite3_vfs_find(NULL);
	vfs = *below;
	vfs.iVersion = 1;
	vfs.zName = "faulty";
	vfs.szOsFile = (int)sizeof(struct faulty_file) + below->szOsFile;
	vfs.xOpen = open_file;
	vfs.xDelete = delete_file;
	vfs.xGetLastError = last_error;
	sqlite3_vfs_register(&vfs, 1);
}
