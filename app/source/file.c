/* SPDX-License-Identifier: MIT */
/*
 * libuv sets O_NONBLOCK on what it polls, and the flag belongs to everyone who has the same terminal or pipe open; so
 * the standard input is opened anew, with flags of its own, and only where that cannot be done (a socket, another
 * user's pipe) is the flag put back at the end.
 *
 * What an earlier run read may be gone on with only if it is there still.  A file with another inode was written anew:
 * even when it begins alike, nobody but its owner knows whether the rest is the same.
 */
#include "source/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "port/crc.h"

enum { HEAD_MOST = 4096 };

/* Opening the descriptor's name in /proc makes a new description of the same terminal, pipe or file.  A file stays
 * shared: its position may not be where a new description would begin. */
static int open_stdin(struct source_file *file)
{
	struct stat st;
	if (fstat(STDIN_FILENO, &st))
		return -errno;
	if (S_ISFIFO(st.st_mode) || isatty(STDIN_FILENO))
		file->fd = open("/proc/self/fd/0", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (file->fd >= 0)
		return 0;
	file->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (file->fd < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		file->flags = fcntl(file->fd, F_GETFL);
	return 0;
}

static int open_path(struct source_file *file, const char *path)
{
	struct statfs fs;
	struct stat st;
	file->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (file->fd < 0 || fstat(file->fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	file->unconnected = S_ISFIFO(st.st_mode) && fstatfs(file->fd, &fs) == 0 && (long)fs.f_type != PIPEFS_MAGIC;
	return 0;
}

/* The checksum of the first n bytes: n, fewer where there are fewer, or a negative code.  A fiber's stack is small. */
static ssize_t sum_head(int fd, size_t n, uint32_t *ret_crc)
{
	char piece[512];
	uint32_t crc = 0;
	size_t done = 0;
	while (done < n) {
		size_t most = n - done < sizeof piece ? n - done : sizeof piece;
		ssize_t got = pread(fd, piece, most, (off_t)done);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -errno;
		if (got == 0)
			break;
		crc = crc_add(crc, piece, (size_t)got);
		done += (size_t)got;
	}
	*ret_crc = crc;
	return (ssize_t)done;
}

static int learn(struct source_file *file)
{
	struct stat st;
	if (fstat(file->fd, &st))
		return -errno;
	file->regular = S_ISREG(st.st_mode);
	if (!file->regular)
		return 0;
	off_t at = lseek(file->fd, 0, SEEK_CUR);
	file->begin = at > 0 ? (uint64_t)at : 0;
	file->size = (uint64_t)st.st_size;
	file->device = st.st_dev;
	file->inode = st.st_ino;
	ssize_t n = sum_head(file->fd, file->size < HEAD_MOST ? (size_t)file->size : HEAD_MOST, &file->head_crc);
	file->head_bytes = n > 0 ? (size_t)n : 0;
	return n < 0 ? (int)n : 0;
}

int source_file_open(const char *path, struct source_file *ret_file, struct weir_error *err)
{
	*ret_file = (struct source_file){.name = path ? path : "the standard input", .fd = -1, .flags = -1};
	int code = path ? open_path(ret_file, path) : open_stdin(ret_file);
	if (!code)
		code = learn(ret_file);
	if (code)
		weir_error_set(err, code, "cannot open %s: %s", ret_file->name, weir_strerror(code));
	return code;
}

void source_file_close(struct source_file *file)
{
	if (file->flags >= 0)
		fcntl(file->fd, F_SETFL, file->flags);
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
}

bool source_file_identify(const struct source_file *file, struct buf *identity)
{
	if (file->regular)
		buf_addf(identity, "file device=%u:%u inode=%" PRIu64 " size=%" PRIu64 " head=%zu crc=%08" PRIx32,
			 major(file->device), minor(file->device), (uint64_t)file->inode, file->size, file->head_bytes,
			 file->head_crc);
	return file->regular;
}

/* What an identity says. */
struct known {
	unsigned device[2];
	uint64_t inode, size;
	size_t head_bytes;
	uint32_t head_crc;
};

static bool parse_identity(const char *identity, struct known *was)
{
	return sscanf(identity, "file device=%u:%u inode=%" SCNu64 " size=%" SCNu64 " head=%zu crc=%" SCNx32,
		      &was->device[0], &was->device[1], &was->inode, &was->size, &was->head_bytes,
		      &was->head_crc) == 6 &&
	       was->head_bytes <= HEAD_MOST;
}

static int check_head(const struct source_file *file, const struct known *was, struct weir_error *err)
{
	uint32_t crc = 0;
	ssize_t n = sum_head(file->fd, was->head_bytes, &crc);
	if (n < 0)
		return weir_error_set(err, (int)n, "cannot read %s: %s", file->name, weir_strerror((int)n));
	if ((size_t)n == was->head_bytes && crc == was->head_crc)
		return 0;
	return weir_error_set(err, WEIR_EINVAL,
			      "%s is not what the run was begun with: its first %zu bytes are others; put the file "
			      "back, or begin anew with --fresh",
			      file->name, was->head_bytes);
}

int source_file_check(const struct source_file *file, const char *identity, uint64_t offset, bool adopt,
		      struct weir_error *err)
{
	struct known was = {0};
	if (!parse_identity(identity, &was))
		return weir_error_set(err, WEIR_EINVAL, "%s was something else when the run was begun (%.100s)",
				      file->name, identity);
	if (!file->regular)
		return weir_error_set(err, WEIR_EINVAL,
				      "%s was a file when the run was begun and is none now; put the file back, or "
				      "begin anew with --fresh",
				      file->name);
	if (file->size < offset)
		return weir_error_set(err, WEIR_EINVAL,
				      "%s has become shorter: it had %" PRIu64 " bytes, of which %" PRIu64
				      " were read, and has %" PRIu64 "; put the file back, or begin anew with --fresh",
				      file->name, was.size, offset, file->size);
	int code = check_head(file, &was, err);
	bool same = was.device[0] == major(file->device) && was.device[1] == minor(file->device) &&
		    was.inode == (uint64_t)file->inode;
	if (code || same || adopt)
		return code;
	return weir_error_set(err, WEIR_EINVAL,
			      "%s was replaced: it was inode %" PRIu64 " on device %u:%u with %" PRIu64
			      " bytes, and is inode %" PRIu64 " on device %u:%u with %" PRIu64
			      " bytes; if that is the same data, copied or restored, go on with --adopt, else begin "
			      "anew with --fresh",
			      file->name, was.inode, was.device[0], was.device[1], was.size, (uint64_t)file->inode,
			      major(file->device), minor(file->device), file->size);
}
