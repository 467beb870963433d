/* SPDX-License-Identifier: MIT */
#include "http/place.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/offload.h>

size_t http_place_folder(const struct template *path)
{
	const char *beginning = template_beginning(path), *slash = strrchr(beginning, '/');
	return slash ? (size_t)(slash - beginning) + 1 : 0;
}

static int open_folder(const char *path, size_t bytes)
{
	char folder[PATH_MAX];
	if (bytes >= sizeof folder)
		return -ENAMETOOLONG;
	memcpy(folder, bytes ? path : ".", bytes ? bytes : 1);
	folder[bytes ? bytes : 1] = 0;
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 ? -errno : fd;
}

/* What is wrong with a part of a path, of which the first n bytes are shown. */
static int refuse(struct weir_error *err, int code, const char *path, size_t n)
{
	const char *what = code == -ELOOP          ? "is a symbolic link"
			   : code == -ENOTDIR      ? "is no folder"
			   : code == -ENOENT       ? "does not exist"
			   : code == -ENAMETOOLONG ? "is too long a name"
						   : NULL;
	int shown = n < 150 ? (int)n : 150;
	if (what)
		return weir_error_set(err, code, "\"%.*s\" %s", shown, path, what);
	return weir_error_set(err, code, "\"%.*s\": %s", shown, path, weir_strerror(code));
}

int http_place_check(const struct template *path, struct weir_error *err)
{
	const char *beginning = template_beginning(path);
	size_t n = http_place_folder(path);
	int fd = open_folder(beginning, n);
	if (fd < 0) {
		weir_error_set(err, WEIR_EINVAL,
			       fd == -ENOENT ? "the folder \"%.*s\" does not exist; make it" : "\"%.*s\" is no folder",
			       n < 150 ? (int)n : 150, beginning);
		return WEIR_EINVAL;
	}
	close(fd);
	return 0;
}

/* The folder `name` in `folder`. */
static int enter(int folder, const char *name, bool make)
{
	const int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	struct stat st;
	int fd = openat(folder, name, flags);
	if (fd < 0 && errno == ENOENT && make) {
		if (mkdirat(folder, name, 0777) && errno != EEXIST)
			return -errno;
		if (fsync(folder))
			return -errno;
		fd = openat(folder, name, flags);
	}
	if (fd >= 0)
		return fd;
	int code = -errno; /* of a link it says that it is no folder */
	if (code == -ENOTDIR && fstatat(folder, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISLNK(st.st_mode))
		return -ELOOP;
	return code;
}

int http_place_open(const char *path, size_t folder_bytes, bool make, int *ret_folder, const char **ret_name,
		    struct weir_error *err)
{
	char name[NAME_MAX + 1];
	const char *at = path + folder_bytes, *slash;
	int folder = open_folder(path, folder_bytes);
	if (folder < 0)
		return refuse(err, folder, path, folder_bytes);
	for (; (slash = strchr(at, '/')); at = slash + 1) {
		size_t n = (size_t)(slash - at);
		int next = n < sizeof name ? 0 : -ENAMETOOLONG;
		if (next == 0) {
			memcpy(name, at, n);
			name[n] = 0;
			next = enter(folder, name, make);
		}
		close(folder);
		if (next < 0)
			return refuse(err, next, path, (size_t)(slash - path));
		folder = next;
	}
	if (strlen(at) > NAME_MAX) {
		close(folder);
		return refuse(err, -ENAMETOOLONG, path, strlen(path));
	}
	*ret_folder = folder;
	*ret_name = at;
	return 0;
}

struct place_job {
	int (*work)(void *arg);
	void *arg;
	int result; /* of that, … */
	bool done;  /* … once it has run */
};

static int run_job(void *arg)
{
	struct place_job *job = arg;
	job->result = job->work(job->arg);
	job->done = true;
	return 0;
}

int http_place_call(int (*work)(void *arg), void *arg)
{
	struct place_job job = {.work = work, .arg = arg};
	int code = weir_offload(run_job, &job, WEIR_FOREVER);
	return job.done ? job.result : code;
}
