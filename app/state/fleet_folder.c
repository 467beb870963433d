/* SPDX-License-Identifier: MIT */
#include "state/fleet_folder.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Containers that share a disk have the same pids. */
enum { SAME_PID_MOST = 100 };

/* Who is there may be about to lock it.  A pid of another container says nothing, so the lock decides. */
static bool may_be_there(const char *name)
{
	long pid = strtol(name, NULL, 10);
	return pid == getpid() || !kill((pid_t)pid, 0) || errno != ESRCH;
}

static void remove_left(const char *parent, const char *name)
{
	struct folder folder = {.fd = -1, .lock_fd = -1};
	struct weir_error err;
	char *path;
	if (asprintf(&path, "%s/%s", parent, name) < 0)
		return;
	int code = folder_open(path, FOLDER_CHANGE, &folder, &err);
	if (!code)
		folder_remove(&folder, &err);
	else if (code == -ENOENT) /* it was killed before it had a lock */
		rmdir(path);
	folder_close(&folder);
	free(path);
}

static void clean(const char *parent)
{
	DIR *all = opendir(parent);
	const struct dirent *entry;
	while (all && (entry = readdir(all)))
		if (isdigit((unsigned char)entry->d_name[0]) && !may_be_there(entry->d_name))
			remove_left(parent, entry->d_name);
	if (all)
		closedir(all);
}

int fleet_folder_open(const char *parent, struct folder *ret_folder, struct weir_error *err)
{
	int code = WEIR_EBUSY;
	clean(parent);
	for (int i = 1; code == WEIR_EBUSY && i < SAME_PID_MOST; i++) {
		char *path, more[16] = "";
		if (i > 1)
			snprintf(more, sizeof more, ".%d", i);
		if (asprintf(&path, "%s/%ld%s", parent, (long)getpid(), more) < 0)
			return weir_error_set(err, WEIR_ENOMEM, "out of memory");
		code = folder_open(path, FOLDER_RUN, ret_folder, err);
		free(path);
	}
	return code;
}

void fleet_folder_close(struct folder *folder)
{
	struct weir_error err;
	char *parent = folder->path ? strdup(folder->path) : NULL;
	if (folder->path)
		folder_remove(folder, &err);
	folder_close(folder);
	if (parent) {
		*strrchr(parent, '/') = 0;
		rmdir(parent);
	}
	free(parent);
}

char *fleet_folder_file(const char *parent, const char *name)
{
	char *path;
	return asprintf(&path, "%s/%s", parent, name) < 0 ? NULL : path;
}

void fleet_folder_forget(const char *parent)
{
	char *history = fleet_folder_file(parent, FOLDER_HISTORY);
	clean(parent);
	if (history)
		unlink(history);
	free(history);
	rmdir(parent);
}
