/* SPDX-License-Identifier: MIT */
/*
 * libuv sets O_NONBLOCK on what it polls, and the flag belongs to everyone who has the same terminal or pipe open; so
 * the standard input is opened again, with separate flags, and only where that cannot be done (a socket, another
 * user's pipe) is the flag put back at the end.
 *
 * A run may continue only in the file that it has read.  One with another inode was written a second time: even when it
 * begins alike, only its owner knows whether the rest is the same.
 */
#include "files/input.h"

#include <fcntl.h>
#include <inttypes.h>
#include <linux/magic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "data/crc.h"

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
	struct source_known *known = &file->known;
	known->inode = st.st_ino;
	known->size = (uint64_t)st.st_size;
	ssize_t n = pread(file->fd, file->first, sizeof file->first, (off_t)file->begin);
	if (n < 0)
		return -errno;
	file->first_bytes = (size_t)n;
	n = sum_head(file->fd, known->size < HEAD_MOST ? (size_t)known->size : HEAD_MOST, &known->head_crc);
	known->head_bytes = n > 0 ? (size_t)n : 0;
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

void source_known_identify(const struct source_known *known, struct buf *identity)
{
	buf_addf(identity, "file inode=%" PRIu64 " size=%" PRIu64 " head=%zu crc=%08" PRIx32, known->inode, known->size,
		 known->head_bytes, known->head_crc);
}

bool source_file_identify(const struct source_file *file, struct buf *identity)
{
	if (file->regular)
		source_known_identify(&file->known, identity);
	return file->regular;
}

bool source_file_recall(const char *identity, struct source_known *ret_known)
{
	struct source_known known;
	int n = 0;
	if (sscanf(identity, "file device=%*u:%*u%n", &n) < 0 || !n)
		n = strncmp(identity, "file", 4) == 0 ? 4 : 0;
	if (!n ||
	    sscanf(identity + n, " inode=%" SCNu64 " size=%" SCNu64 " head=%zu crc=%" SCNx32, &known.inode, &known.size,
		   &known.head_bytes, &known.head_crc) != 4 ||
	    known.head_bytes > HEAD_MOST)
		return false;
	*ret_known = known;
	return true;
}

#define FRESH "restore the file, or start over with --fresh"

static int check_head(const struct source_file *file, const struct source_known *was, struct weir_error *err)
{
	uint32_t crc = 0;
	ssize_t n = sum_head(file->fd, was->head_bytes, &crc);
	if (n < 0)
		return weir_error_set(err, (int)n, "cannot read %s: %s", file->name, weir_strerror((int)n));
	if ((size_t)n < was->head_bytes)
		return weir_error_set(err, WEIR_EINVAL,
				      "%s has become shorter: it had %" PRIu64 " bytes and has %" PRIu64 "; " FRESH,
				      file->name, was->size, file->known.size);
	if (crc == was->head_crc)
		return 0;
	return weir_error_set(err, WEIR_EINVAL,
			      "%s is not the file that this run has read: its first %zu bytes differ; " FRESH,
			      file->name, was->head_bytes);
}

int source_file_check(const struct source_file *file, const struct source_known *was, bool adopt,
		      struct weir_error *err)
{
	const struct source_known *is = &file->known;
	if (!file->regular)
		return weir_error_set(err, WEIR_EINVAL,
				      "%s was a regular file when this run began, and is not any more; " FRESH,
				      file->name);
	int code = check_head(file, was, err);
	if (code || was->inode == is->inode || adopt)
		return code;
	return weir_error_set(
		err, WEIR_EINVAL,
		"%s was replaced: it was inode %" PRIu64 " with %" PRIu64 " bytes, and is inode %" PRIu64
		" with %" PRIu64
		" bytes; if it has the same data (a copy), resume with --adopt; otherwise start over with --fresh",
		file->name, was->inode, was->size, is->inode, is->size);
}
