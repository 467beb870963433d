/* SPDX-License-Identifier: MIT */
/* See folder.h.  The lock is a flock on a file that goes only with its folder: who finds that what it has locked is
 * gone begins again, so two weirs can never have the same folder.
 */
#include "state/folder.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHORT " short" /* behind the pid of a verb that is soon done */

enum { HOLDER_BYTES = 32, WAIT_MS = 1000, WAIT_STEP_MS = 20, MAKE_MOST = 20 };

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

/* ---- the lock */

static int write_holder(int fd, enum folder_use use)
{
	char text[32];
	int n = snprintf(text, sizeof text, "%ld%s\n", (long)getpid(), use == FOLDER_RUN ? "" : SHORT);
	if (ftruncate(fd, 0) || pwrite(fd, text, (size_t)n, 0) != n)
		return -errno;
	return 0;
}

/* Its line: the pid, and whether it is soon done.  There is no line while the holder changes. */
static bool read_holder(int fd, char pid[HOLDER_BYTES])
{
	ssize_t n = pread(fd, pid, HOLDER_BYTES - 1, 0);
	pid[n > 0 ? n : 0] = 0;
	bool is_short = !*pid || strstr(pid, SHORT);
	pid[strspn(pid, "0123456789")] = 0;
	return is_short;
}

/* The line may be of a holder that was killed, so one that seems to be a run is looked at a second time. */
static int take_lock(const struct folder *folder, struct weir_error *err)
{
	char pid[HOLDER_BYTES];
	int how = (folder->readonly ? LOCK_SH : LOCK_EX) | LOCK_NB;
	for (int attempts = 0; flock(folder->lock_fd, how); attempts++) {
		if (errno != EWOULDBLOCK)
			return weir_error_set(err, -errno, "cannot lock %s/lock: %s", folder->path, strerror(errno));
		bool is_short = read_holder(folder->lock_fd, pid);
		if (attempts >= (is_short ? WAIT_MS / WAIT_STEP_MS : 1))
			return weir_error_set(err, WEIR_EBUSY,
					      "the state folder %s is in use by another weir (pid %s); wait for it, or "
					      "choose another folder with --state",
					      folder->path, *pid ? pid : "unknown");
		usleep(WAIT_STEP_MS * 1000);
	}
	return 0;
}

/* By who had the lock before. */
static bool was_removed(const struct folder *folder)
{
	struct stat st;
	return !fstat(folder->lock_fd, &st) && !st.st_nlink;
}

static bool cannot_be_written(int error)
{
	return error == EROFS || error == EACCES || error == EPERM;
}

/* On a disk that cannot be written there may be none, and nobody to be kept out. */
static int open_lock(struct folder *folder, enum folder_use use, struct weir_error *err)
{
	/* A folder that only has a store was copied without it; one that has neither is somebody else's, and nothing
	 * is made in it. */
	bool has_store = !faccessat(folder->fd, "state.db", F_OK, 0);
	int create = use == FOLDER_RUN || has_store ? O_CREAT : 0;
	folder->lock_fd = openat(folder->fd, "lock", O_RDWR | create | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (folder->lock_fd < 0 && use == FOLDER_LOOK && cannot_be_written(errno)) {
		folder->readonly = true;
		folder->lock_fd = openat(folder->fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
		if (folder->lock_fd < 0 && errno == ENOENT && has_store)
			return 0;
	}
	if (folder->lock_fd < 0 && errno == ENOENT && !create)
		return weir_error_set(err, -ENOENT, "%s is not a state folder: it has neither lock nor state.db",
				      folder->path);
	if (folder->lock_fd < 0)
		return weir_error_set(err, -errno, "cannot open %s/lock: %s", folder->path, strerror(errno));
	int code = take_lock(folder, err);
	if (!code && was_removed(folder))
		code = weir_error_set(err, -ENOENT, "the state folder %s was removed", folder->path);
	if (code || folder->readonly)
		return code;
	folder->locked = true;
	code = write_holder(folder->lock_fd, use);
	return code ? weir_error_set(err, code, "cannot write %s/lock: %s", folder->path, strerror(-code)) : 0;
}

/* ---- the folder */

/* Who can write to it can put another file in the place of any of weir's.  A group that is the user's own is no other
 * user. */
static int check_rights(const struct folder *folder, struct weir_error *err)
{
	struct stat st;
	if (fstat(folder->fd, &st))
		return weir_error_set(err, -errno, "%s: %s", folder->path, strerror(errno));
	bool group = (st.st_mode & S_IWGRP) && st.st_gid != getegid();
	if (!group && !(st.st_mode & S_IWOTH))
		return 0;
	return weir_error_set(err, -EACCES,
			      "other users may write to the state folder %s (mode %04o); forbid it with chmod go-w, or "
			      "choose another folder with --state",
			      folder->path, (unsigned)st.st_mode & 07777);
}

static int open_there(struct folder *folder, enum folder_use use, struct weir_error *err)
{
	folder->fd = open(folder->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder->fd < 0)
		return weir_error_set(err, -errno, "cannot open the state folder %s: %s", folder->path,
				      strerror(errno));
	int code = check_rights(folder, err);
	return code ? code : open_lock(folder, use, err);
}

static int open_once(const char *path, enum folder_use use, struct folder *ret_folder, struct weir_error *err)
{
	struct folder folder = {.path = strdup(path), .fd = -1, .lock_fd = -1};
	if (!folder.path)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = use == FOLDER_RUN ? make_path(folder.path) : access(path, F_OK) ? -errno : 0;
	if (code && use == FOLDER_RUN)
		weir_error_set(err, code, "cannot create the state folder %s: %s", path, strerror(-code));
	else if (code)
		weir_error_set(err, code, "there is no state folder %s", path);
	else
		code = open_there(&folder, use, err);
	if (code) {
		folder_close(&folder);
		return code;
	}
	*ret_folder = folder;
	return 0;
}

int folder_open(const char *path, enum folder_use use, struct folder *ret_folder, struct weir_error *err)
{
	int code = open_once(path, use, ret_folder, err);
	/* Another one has removed it, or its parent, while it was made. */
	for (int i = 1; code == -ENOENT && use == FOLDER_RUN && i < MAKE_MOST; i++)
		code = open_once(path, use, ret_folder, err);
	return code;
}

/* learnt.json and rates.json are of earlier releases.  The lock goes last: until then nobody else can come in. */
const char *const folder_names[] = {"state.db",
				    "state.db-wal",
				    "state.db-journal",
				    "dead.jsonl",
				    "upstreams.json",
				    "upstreams.json.new",
				    "learnt.json",
				    "learnt.json.new",
				    "rates.json",
				    "rates.json.new",
				    FOLDER_SUMMARY,
				    FOLDER_SUMMARY_NEW,
				    FOLDER_HISTORY,
				    "ctl",
				    "lock",
				    NULL};

int folder_remove(struct folder *folder, struct weir_error *err)
{
	for (const char *const *name = folder_names; *name; name++)
		if (unlinkat(folder->fd, *name, 0) && errno != ENOENT)
			return weir_error_set(err, -errno, "cannot remove %s/%s: %s", folder->path, *name,
					      strerror(errno));
	if (rmdir(folder->path) && errno != ENOTEMPTY && errno != EEXIST)
		return weir_error_set(err, -errno, "cannot remove %s: %s", folder->path, strerror(errno));
	return 0;
}

void folder_close(struct folder *folder)
{
	if (folder->locked)
		(void)!ftruncate(folder->lock_fd, 0); /* nobody holds it: see read_holder() */
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

/* The state follows the name, which is in parentheses and may hold anything. */
static bool is_suspended(long pid)
{
	char path[40], text[256];
	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, sizeof text - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	const char *end = strrchr(text, ')');
	return end && strncmp(end, ") T", 3) == 0;
}

void folder_holder(int folder_fd, struct folder_holder *ret_holder)
{
	char pid[HOLDER_BYTES] = "";
	int fd = openat(folder_fd, "lock", O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0) {
		read_holder(fd, pid);
		close(fd);
	}
	ret_holder->pid = strtol(pid, NULL, 10);
	ret_holder->suspended = ret_holder->pid > 0 && is_suspended(ret_holder->pid);
}
