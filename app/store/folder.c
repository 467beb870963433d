/* SPDX-License-Identifier: MIT */
/* See folder.h.  The lock is a flock on a file that is never removed, so two weirs can never lock two different ones.
 */
#include "store/folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* A name that was not synced is gone after a power cut, and all in it. */
static int sync_parent(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *parent = !slash ? strdup(".") : slash == path ? strdup("/") : strndup(path, (size_t)(slash - path));
	int fd = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int code = fd < 0 || (fsync(fd) && errno != EINVAL && errno != EROFS) ? -errno : 0;
	if (fd >= 0)
		close(fd);
	free(parent);
	return code == -EACCES ? 0 : code; /* a folder that cannot be read is not one that was made here */
}

/* Those that were there may have been made by a run that was cut off before it synced them: the last two are ours
 * (.weir/NAME), the others are the user's. */
static int make_folder(const char *path, bool ours)
{
	bool made = !mkdir(path, 0700);
	if (!made && errno != EEXIST)
		return -errno;
	return made || ours ? sync_parent(path) : 0;
}

static int make_path(char *path)
{
	char *last = strrchr(path, '/');
	for (char *at = path + 1; *at; at++) {
		if (*at != '/')
			continue;
		*at = 0;
		int code = make_folder(path, at == last);
		*at = '/';
		if (code)
			return code;
	}
	return make_folder(path, true);
}

static int write_pid(int fd)
{
	char text[24];
	int n = snprintf(text, sizeof text, "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n)
		return -errno;
	return 0;
}

static int refuse_held(int lock_fd, const char *path, struct weir_error *err)
{
	char pid[24] = "";
	ssize_t n = pread(lock_fd, pid, sizeof pid - 1, 0);
	pid[n > 0 ? strcspn(pid, "\n") : 0] = 0;
	return weir_error_set(err, WEIR_EBUSY,
			      "the state folder %s is in use by another weir (pid %s); wait for it, or "
			      "choose another folder with --state",
			      path, *pid ? pid : "unknown");
}

/* make: the lock, too.  A folder that only has a store was copied without it; one that has neither is somebody else's,
 * and nothing is made in it. */
static int open_locked(struct folder *folder, bool make, struct weir_error *err)
{
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder->fd < 0)
		return weir_error_set(err, -errno, "cannot open the state folder %s: %s", folder->path,
				      strerror(errno));
	int create = make || !faccessat(folder->fd, "state.db", F_OK, 0) ? O_CREAT : 0;
	folder->lock_fd = openat(folder->fd, "lock", O_RDWR | create | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (folder->lock_fd < 0 && errno == ENOENT && !create)
		return weir_error_set(err, -ENOENT, "%s is no state folder: neither lock nor state.db is in it",
				      folder->path);
	if (folder->lock_fd < 0)
		return weir_error_set(err, -errno, "cannot open %s/lock: %s", folder->path, strerror(errno));
	if (flock(folder->lock_fd, LOCK_EX | LOCK_NB))
		return refuse_held(folder->lock_fd, folder->path, err);
	int code = write_pid(folder->lock_fd);
	return code ? weir_error_set(err, code, "cannot write %s/lock: %s", folder->path, strerror(-code)) : 0;
}

static int open_folder(const char *path, bool make, struct folder *ret_folder, struct weir_error *err)
{
	struct folder folder = {.path = strdup(path), .fd = -1, .lock_fd = -1};
	if (!folder.path)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = make ? make_path(folder.path) : access(path, F_OK) ? -errno : 0;
	if (code && make)
		weir_error_set(err, code, "cannot make the state folder %s: %s", path, strerror(-code));
	else if (code)
		weir_error_set(err, code, "there is no state folder %s", path);
	else
		code = open_locked(&folder, make, err);
	if (code) {
		folder_close(&folder);
		return code;
	}
	*ret_folder = folder;
	return 0;
}

int folder_open(const char *path, struct folder *ret_folder, struct weir_error *err)
{
	return open_folder(path, true, ret_folder, err);
}

int folder_open_existing(const char *path, struct folder *ret_folder, struct weir_error *err)
{
	return open_folder(path, false, ret_folder, err);
}

/* The lock goes last: until then nobody else can come in. */
int folder_remove(struct folder *folder, struct weir_error *err)
{
	static const char *const names[] = {"state.db",   "state.db-wal", "state.db-journal",
					    "dead.jsonl", "learnt.json",  "learnt.json.new",
					    "ctl",        "lock"};
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		if (unlinkat(folder->fd, names[i], 0) && errno != ENOENT)
			return weir_error_set(err, -errno, "cannot remove %s/%s: %s", folder->path, names[i],
					      strerror(errno));
	if (rmdir(folder->path) && errno != ENOTEMPTY && errno != EEXIST)
		return weir_error_set(err, -errno, "cannot remove %s: %s", folder->path, strerror(errno));
	return 0;
}

void folder_close(struct folder *folder)
{
	if (folder->lock_fd >= 0)
		close(folder->lock_fd);
	if (folder->fd >= 0)
		close(folder->fd);
	free(folder->path);
	*folder = (struct folder){.fd = -1, .lock_fd = -1};
}

char *folder_file(const struct folder *folder, const char *name)
{
	char *path;
	return asprintf(&path, "%s/%s", folder->path, name) < 0 ? NULL : path;
}
