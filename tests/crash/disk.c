/* SPDX-License-Identifier: MIT */
/*
 * See disk.h.  All watched calls go through one lock, each with what is told of it: so the log has them in the order
 * in which they happened, and nothing happens any more once the process is to die.  A file is known by what its
 * descriptor is open on, asked of the kernel at each call; no table of descriptors could go wrong.
 *
 * What is done here is done by system calls of its own, not by the C library's functions, which may be interposed.
 * Stores into mapped memory are not seen; of SQLite's files that is the -shm, which is never read after a crash.
 */
#include "disk.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <netinet/in.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#define LOG_FD 700 /* where the process's own descriptors do not come */

enum mode { MODE_OFF, MODE_COUNT, MODE_KILL, MODE_HALF, MODE_AFTER, MODE_RECORD, MODE_EIO, MODE_ENOSPC, MODES };

static const char *const mode_names[MODES] = {"off", "count", "kill", "half", "after", "record", "eio", "enospc"};
static const char *const op_names[DISK_OPS] = {"?",      "write",  "truncate", "sync",  "sync-dir", "create",
					       "unlink", "rename", "mkdir",    "rmdir", "link",     "sync-all"};

/* What a file was before a write, so that it can be so again.  A list, the last one first. */
struct undo {
	struct undo *next;
	ino_t inode;
	off_t offset, size;
	size_t n;
	char bytes[];
};

static struct {
	enum mode mode;
	pthread_mutex_t lock; /* over all below, and over the calls */
	const char *folder, *only;
	size_t folder_len;
	uint64_t port;      /* CRASH_PORT */
	uint64_t at, times; /* CRASH_AT, CRASH_FOR */
	bool drop;
	int log;
	uint64_t count;
	struct undo *undo;
} disk = {.lock = PTHREAD_MUTEX_INITIALIZER, .log = -1};

/* What is found out about a call. */
struct target {
	char path[PATH_MAX], to[PATH_MAX]; /* absolute */
	const char *name, *new_name;       /* below the folder */
	ino_t inode;
	off_t size, offset;
};

static uint64_t number(const char *name, uint64_t fallback)
{
	const char *text = getenv(name);
	return text && *text ? strtoull(text, NULL, 10) : fallback;
}

static void say_and_end(const char *text)
{
	fprintf(stderr, "crash: %s\n", text);
	_exit(70);
}

static void open_log(const char *path)
{
	int fd = (int)syscall(SYS_openat, AT_FDCWD, path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	disk.log = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, LOG_FD);
	if (disk.log < 0)
		say_and_end("cannot open CRASH_LOG");
	close(fd);
}

__attribute__((constructor)) static void begin(void)
{
	const char *mode = getenv("CRASH_MODE"), *folder = getenv("CRASH_FOLDER"), *comm = getenv("CRASH_COMM"),
		   *log = getenv("CRASH_LOG");
	disk.port = number("CRASH_PORT", 0);
	if (!mode || (!folder && !disk.port) || (comm && strcmp(comm, program_invocation_short_name) != 0))
		return;
	disk.folder = folder;
	disk.folder_len = folder ? strlen(folder) : 0;
	disk.only = getenv("CRASH_ONLY");
	disk.at = number("CRASH_AT", 0);
	disk.times = number("CRASH_FOR", 1);
	disk.drop = number("CRASH_DROP", 0) != 0;
	if (log)
		open_log(log);
	for (int i = 0; i < MODES; i++)
		if (strcmp(mode, mode_names[i]) == 0)
			disk.mode = (enum mode)i;
	if (disk.mode == MODE_OFF || (disk.mode == MODE_RECORD && disk.log < 0))
		say_and_end("CRASH_MODE is none of them, or needs CRASH_LOG");
}

bool disk_watches(void)
{
	return disk.mode != MODE_OFF;
}

/* ---- what a call is about */

static bool path_of_fd(int fd, char *text, size_t room)
{
	char link[32];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	ssize_t n = syscall(SYS_readlinkat, AT_FDCWD, link, text, room - 1);
	if (n <= 0)
		return false;
	text[n] = 0;
	/* Unlinked files are still written by those who have them open. */
	char *end = strstr(text, " (deleted)");
	if (end)
		*end = 0;
	return true;
}

bool disk_path(int dirfd, const char *path, char *text, size_t room)
{
	size_t n = 0;
	text[0] = 0;
	if (path[0] != '/') {
		if (dirfd == AT_FDCWD ? syscall(SYS_getcwd, text, room) < 0 : !path_of_fd(dirfd, text, room))
			return false;
		n = strlen(text);
	}
	for (const char *part = path; *part;) {
		size_t len = strcspn(part, "/");
		if (len && !(len == 1 && *part == '.')) {
			if (n + len + 2 > room)
				return false;
			text[n++] = '/';
			memcpy(text + n, part, len);
			n += len;
		}
		part += len + (part[len] == '/');
	}
	text[n] = 0;
	return true;
}

/* Below the folder, or NULL; the folder itself is "". */
static const char *below(const char *path)
{
	if (strncmp(path, disk.folder, disk.folder_len) != 0)
		return NULL;
	const char *rest = path + disk.folder_len;
	return *rest == '/' ? rest + 1 : *rest ? NULL : rest;
}

static void find_offset(const struct disk_call *call, struct target *ret)
{
	ret->offset = call->offset;
	if (call->op != DISK_WRITE || call->positioned)
		return;
	ret->offset = (fcntl(call->fd, F_GETFL) & O_APPEND) ? ret->size : lseek(call->fd, 0, SEEK_CUR);
}

static bool is_server(int fd)
{
	struct sockaddr_in peer = {0};
	socklen_t n = sizeof peer;
	return syscall(SYS_getpeername, fd, &peer, &n) == 0 && peer.sin_family == AF_INET &&
	       ntohs(peer.sin_port) == disk.port;
}

/* Whether the call is one of those that count. */
static bool find_target(struct disk_call *call, struct target *ret)
{
	struct stat st = {0};
	if (disk.port) {
		ret->name = "server";
		return call->op == DISK_WRITE && is_server(call->fd);
	}
	if (call->op == DISK_SYNC_ALL) {
		ret->name = "";
		return true;
	}
	if (call->fd >= 0) {
		/* What the process was started with is its output, not its disk. */
		if (call->fd <= STDERR_FILENO || fstat(call->fd, &st) ||
		    !path_of_fd(call->fd, ret->path, sizeof ret->path))
			return false;
		if (call->op == DISK_SYNC && S_ISDIR(st.st_mode))
			call->op = DISK_SYNC_DIR;
		else if (!S_ISREG(st.st_mode))
			return false;
	} else if (snprintf(ret->path, sizeof ret->path, "%s", call->path) >= PATH_MAX ||
		   (call->op == DISK_TRUNCATE && stat(call->path, &st))) {
		return false;
	}
	ret->inode = st.st_ino;
	ret->size = st.st_size;
	ret->name = below(ret->path);
	if (call->to && snprintf(ret->to, sizeof ret->to, "%s", call->to) < PATH_MAX)
		ret->new_name = below(ret->to);
	find_offset(call, ret);
	return ret->name && (!disk.only || strstr(ret->name, disk.only));
}

/* ---- taking back what was not synced */

static int reopen(int fd)
{
	char link[32];
	snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
	return (int)syscall(SYS_openat, AT_FDCWD, link, O_RDWR | O_CLOEXEC, 0);
}

static void remember(const struct disk_call *call, const struct target *target)
{
	if (!disk.drop || call->fd < 0 || (call->op != DISK_WRITE && call->op != DISK_TRUNCATE))
		return;
	off_t n = target->size - target->offset;
	if (n < 0)
		n = 0;
	if (call->op == DISK_WRITE && n > (off_t)call->n)
		n = (off_t)call->n;
	struct undo *undo = malloc(sizeof *undo + (size_t)n);
	int fd = reopen(call->fd);
	if (!undo || fd < 0)
		say_and_end("cannot remember what was there");
	*undo = (struct undo){disk.undo, target->inode, target->offset, target->size, (size_t)n};
	if (pread(fd, undo->bytes, (size_t)n, target->offset) != n)
		say_and_end("cannot read what was there");
	syscall(SYS_close, fd);
	disk.undo = undo;
}

static void forget_or_take_back(ino_t inode, int take_back_fd)
{
	for (struct undo **at = &disk.undo; *at;) {
		struct undo *undo = *at;
		if (undo->inode != inode) {
			at = &undo->next;
			continue;
		}
		if (take_back_fd >= 0 &&
		    (syscall(SYS_ftruncate, take_back_fd, undo->size) < 0 ||
		     syscall(SYS_pwrite64, take_back_fd, undo->bytes, undo->n, undo->offset) != (long)undo->n))
			say_and_end("cannot take back what was written");
		*at = undo->next;
		free(undo);
	}
}

/* ---- the log */

static void put_log(const struct iovec *parts, int n)
{
	long want = 0;
	for (int i = 0; i < n; i++)
		want += (long)parts[i].iov_len;
	if (syscall(SYS_writev, disk.log, parts, n) != want)
		say_and_end("cannot write CRASH_LOG");
}

static void note(const struct disk_call *call, const struct target *target)
{
	char line[2 * PATH_MAX + 128];
	if (disk.log < 0)
		return;
	int n = snprintf(line, sizeof line, "%llu %s %s%s%s offset %lld, %zu bytes\n", (unsigned long long)disk.count,
			 op_names[call->op], *target->name ? target->name : ".", target->new_name ? " to " : "",
			 target->new_name ? target->new_name : "", (long long)target->offset, call->n);
	put_log(&(struct iovec){line, (size_t)n}, 1);
}

static void record(const struct disk_call *call, const struct target *target, long done)
{
	struct {
		uint32_t op, path_len;
		uint64_t inode;
		int64_t offset;
		uint64_t n;
	} head = {(uint32_t)call->op, (uint32_t)strlen(target->name), target->inode, target->offset, 0};
	char names[2 * PATH_MAX];
	struct stat st;
	if (call->op == DISK_CREATE && stat(target->path, &st) == 0)
		head.inode = st.st_ino;
	if (call->op == DISK_WRITE)
		head.n = (uint64_t)done;
	memcpy(names, target->name, head.path_len + 1);
	if (target->new_name) {
		size_t len = strlen(target->new_name);
		memcpy(names + head.path_len + 1, target->new_name, len);
		head.path_len += (uint32_t)(len + 1);
	}
	put_log((struct iovec[]){{&head, sizeof head}, {names, head.path_len}, {(void *)call->data, head.n}}, 3);
}

/* ---- what becomes of a call */

static void die(void)
{
	for (;;)
		syscall(SYS_kill, getpid(), SIGKILL);
}

static void die_at(const struct disk_call *call, const struct target *target)
{
	if (disk.count != disk.at)
		return;
	note(call, target);
	if (disk.mode == MODE_HALF && call->op == DISK_WRITE) {
		struct disk_call half = *call;
		half.n = half.n / 2;
		half.make(&half);
	}
	if (disk.mode == MODE_AFTER)
		call->make(call);
	die();
}

static long fail_sync(const struct disk_call *call, const struct target *target)
{
	note(call, target);
	if (disk.drop && call->op == DISK_SYNC) {
		int fd = reopen(call->fd);
		forget_or_take_back(target->inode, fd);
		syscall(SYS_close, fd);
	}
	errno = EIO;
	return -1;
}

static long fail_write(struct disk_call *call, const struct target *target)
{
	note(call, target);
	if (disk.count == disk.at && call->n > 1) {
		call->n = call->n / 2;
		return call->make(call);
	}
	errno = ENOSPC;
	return -1;
}

static bool is_hit(void)
{
	uint64_t last = disk.times ? disk.at + disk.times - (disk.mode == MODE_EIO) : UINT64_MAX;
	return disk.count >= disk.at && disk.count <= last;
}

static long make(struct disk_call *call, const struct target *target)
{
	bool is_sync = call->op == DISK_SYNC || call->op == DISK_SYNC_DIR;
	if ((disk.mode == MODE_EIO && !is_sync) || (disk.mode == MODE_ENOSPC && call->op != DISK_WRITE)) {
		remember(call, target);
		return call->make(call);
	}
	disk.count++;
	if (disk.mode == MODE_KILL || disk.mode == MODE_HALF || disk.mode == MODE_AFTER)
		die_at(call, target);
	if (disk.mode == MODE_EIO && is_hit())
		return fail_sync(call, target);
	if (disk.mode == MODE_ENOSPC && is_hit())
		return fail_write(call, target);
	if (disk.mode == MODE_COUNT)
		note(call, target);
	long done = call->make(call);
	if (disk.mode == MODE_RECORD && done >= 0)
		record(call, target, done);
	if (call->op == DISK_SYNC && done == 0)
		forget_or_take_back(target->inode, -1);
	return done;
}

long disk_do(struct disk_call *call)
{
	struct target target;
	target.name = target.new_name = NULL;
	target.offset = 0;
	int before = errno;
	pthread_mutex_lock(&disk.lock);
	bool counts = find_target(call, &target);
	errno = before;
	long done = counts ? make(call, &target) : call->make(call);
	int after = errno;
	pthread_mutex_unlock(&disk.lock);
	errno = after;
	return done;
}
