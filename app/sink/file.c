/* SPDX-License-Identifier: MIT */
/*
 * See file.h.  A write that fails half-way is cut off again.  After a failed fdatasync nobody knows what is on the
 * disk, so the file stays failed; what is really there shows when it is opened at the position of the last ack.
 *
 * A file that somebody moves, cuts or writes to while it is open is found before the next batch, which would otherwise
 * go to a file without a name, or leave a hole.
 */
#include "sink/file.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "port/crc.h"

#define TAIL_MOST ((size_t)4096)
#define ADVICE    "put it back as it was, name another file and say --adopt, or begin anew with --fresh"

/* A position that was read back. */
struct place {
	off_t off;
	uint32_t crc;
	const char *path;
};

static int refuse(const struct sink_file *file, struct weir_error *err, int code, const char *doing)
{
	return weir_error_set(err, code, "cannot %s %s: %s", doing, file->name, weir_strerror(code));
}

/* ---- reading what is there */

/* n bytes at `at`, fewer at the end of the file: how many; or a negative code. */
static ssize_t read_at(const struct sink_file *file, char *bytes, size_t n, off_t at)
{
	char path[32];
	size_t done = 0;
	ssize_t got = 1;
	snprintf(path, sizeof path, "/proc/self/fd/%d", file->fd);
	int reader = open(path, O_RDONLY | O_CLOEXEC);
	if (reader < 0)
		return -errno;
	while (done < n && got != 0) {
		got = pread(reader, bytes + done, n - done, at + (off_t)done);
		if (got < 0 && errno != EINTR)
			break;
		done += got > 0 ? (size_t)got : 0;
	}
	int code = got < 0 ? -errno : 0;
	close(reader);
	return code ? code : (ssize_t)done;
}

int sink_file_begins_with(const struct sink_file *file, const char *line, struct weir_error *err)
{
	size_t n = strlen(line);
	char *head = malloc(n);
	if (!head)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	ssize_t got = read_at(file, head, n, 0);
	bool same = got == (ssize_t)n && memcmp(head, line, n) == 0;
	free(head);
	return got < 0 ? refuse(file, err, (int)got, "read") : same;
}

/* The file goes on behind `off`. */
static int load_tail(struct sink_file *file, off_t off)
{
	size_t n = off < (off_t)TAIL_MOST ? (size_t)off : TAIL_MOST;
	if (!file->tail && !(file->tail = malloc(TAIL_MOST)))
		return WEIR_ENOMEM;
	ssize_t got = read_at(file, file->tail, n, off - (off_t)n);
	if (got != (ssize_t)n)
		return got < 0 ? (int)got : WEIR_EIO;
	file->off = off;
	file->tail_bytes = n;
	file->crc = crc_add(0, file->tail, n);
	file->empty = !off;
	file->mid_line = n && file->tail[n - 1] != '\n';
	return 0;
}

static void move_tail(struct sink_file *file, const char *text, size_t n)
{
	size_t added = n < TAIL_MOST ? n : TAIL_MOST;
	size_t kept = added + file->tail_bytes > TAIL_MOST ? TAIL_MOST - added : file->tail_bytes;
	memmove(file->tail, file->tail + file->tail_bytes - kept, kept);
	memcpy(file->tail + kept, text + n - added, added);
	file->off += (off_t)n;
	file->tail_bytes = kept + added;
	file->crc = crc_add(0, file->tail, file->tail_bytes);
}

/* ---- positions */

void sink_file_position(const struct sink_file *file, struct buf *out)
{
	if (file->exact)
		buf_addf(out, "file off=%lld crc=%08" PRIx32 " path=%s", (long long)file->off, file->crc, file->path);
}

/* Whether it is one of a file: a sink of another kind may have been here before. */
static bool read_place(const struct value *position, struct place *ret_place)
{
	long long off;
	uint32_t crc;
	int path = 0;
	if (!position || sscanf(position->data, "file off=%lld crc=%8" SCNx32 " path=%n", &off, &crc, &path) != 2 ||
	    !path || off < 0)
		return false;
	*ret_place = (struct place){(off_t)off, crc, position->data + path};
	return true;
}

/* The last name stays as it is: the file may be missing. */
static int find_path(struct sink_file *file)
{
	const char *slash = strrchr(file->name, '/'), *last = slash ? slash + 1 : file->name;
	struct buf path = {0};
	buf_add(&path, file->name, (size_t)(last - file->name));
	buf_add_str(&path, ".");
	char *folder = path.failed ? NULL : realpath(path.data, NULL);
	int code = path.failed ? WEIR_ENOMEM : folder ? 0 : -errno;
	buf_clear(&path);
	if (folder)
		buf_addf(&path, "%s/%s", folder[1] ? folder : "", last);
	code = code ? code : path.failed ? WEIR_ENOMEM : 0;
	if (!code)
		file->path = buf_take(&path, NULL);
	free(folder);
	buf_fini(&path);
	return code;
}

/* ---- opening */

static int lock_file(struct sink_file *file, struct weir_error *err)
{
	if (flock(file->fd, LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return 0;
	return weir_error_set(err, WEIR_EBUSY, "%s is being written by another run; wait for it or name another file",
			      file->name);
}

static int file_size(const struct sink_file *file, off_t *ret_size)
{
	struct stat st;
	if (fstat(file->fd, &st))
		return -errno;
	*ret_size = st.st_size;
	return 0;
}

/* A new name is in its folder for good only once the folder is synced; some file systems need and know no such thing.
 */
static int sync_folder(const struct sink_file *file)
{
	const char *slash = strrchr(file->path, '/');
	char *folder = strndup(file->path, slash == file->path ? 1 : (size_t)(slash - file->path));
	int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int code = !folder ? WEIR_ENOMEM : fd < 0 || (fsync(fd) && errno != EINVAL) ? -errno : 0;
	free(folder);
	if (fd >= 0)
		close(fd);
	return code;
}

static int make_file(struct sink_file *file, struct weir_error *err)
{
	file->fd = open(file->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY, 0644);
	int code = file->fd < 0 ? -errno : sync_folder(file);
	return code ? refuse(file, err, code, "make") : 0;
}

/* Exact, from here on. */
static int start_at(struct sink_file *file, off_t off, off_t size, struct weir_error *err)
{
	if (size > off && ftruncate(file->fd, off))
		return refuse(file, err, -errno, "cut");
	int code = load_tail(file, off);
	if (!code && fsync(file->fd))
		code = -errno;
	return code ? refuse(file, err, code, "open") : 0;
}

/* 1: it is what was written up to there; 0: it is not. */
static int matches(struct sink_file *file, const struct place *place, off_t size, struct weir_error *err)
{
	if (size < place->off)
		return 0;
	int code = load_tail(file, place->off);
	return code ? refuse(file, err, code, "read") : file->crc == place->crc;
}

static int refuse_other(const struct sink_file *file, const struct place *place, off_t size, struct weir_error *err)
{
	if (size < place->off)
		return weir_error_set(err, WEIR_EINVAL,
				      "%.200s was cut off or replaced: it has %lld bytes, of %lld that this run has "
				      "written; " ADVICE,
				      file->name, (long long)size, (long long)place->off);
	return weir_error_set(err, WEIR_EINVAL,
			      "%.200s was replaced or changed: it does not hold what this run has written up to its "
			      "byte %lld; " ADVICE,
			      file->name, (long long)place->off);
}

static int open_exact(struct sink_file *file, bool append, const struct value *position, struct weir_error *err)
{
	struct place place = {0};
	off_t size = 0;
	bool made = file->fd < 0, known = read_place(position, &place);
	int code = find_path(file);
	if (code)
		return refuse(file, err, code, "open");
	bool same = known && strcmp(place.path, file->path) == 0;
	if (made && same && place.off)
		return weir_error_set(err, WEIR_EINVAL,
				      "%.200s is gone, with %lld bytes that this run has written; " ADVICE, file->name,
				      (long long)place.off);
	if (made)
		code = make_file(file, err);
	if (!code)
		code = lock_file(file, err);
	if (!code && (code = file_size(file, &size)))
		refuse(file, err, code, "open");
	if (code)
		return code;
	if (known && (same || place.off)) {
		code = matches(file, &place, size, err);
		if (code)
			return code < 0 ? code : start_at(file, place.off, size, err);
		if (same)
			return refuse_other(file, &place, size, err);
	}
	return start_at(file, append ? size : 0, size, err);
}

static int open_plain(struct sink_file *file, bool append, struct weir_error *err)
{
	off_t size = 0;
	char last = '\n';
	int code = lock_file(file, err);
	if (code)
		return code;
	code = file_size(file, &size);
	if (!code && !append && ftruncate(file->fd, 0))
		code = -errno;
	if (code)
		return refuse(file, err, code, append ? "open" : "empty");
	file->empty = !append || !size;
	file->mid_line = !file->empty && read_at(file, &last, 1, size - 1) == 1 && last != '\n';
	return 0;
}

int sink_file_open(struct sink_file *file, bool append, const struct sink_env *env, struct weir_error *err)
{
	file->exact = env->run != NULL;
	return file->exact ? open_exact(file, append, env->position, err) : open_plain(file, append, err);
}

void sink_file_fini(struct sink_file *file)
{
	if (file->fd >= 0)
		close(file->fd);
	file->fd = -1;
	free(file->path);
	free(file->tail);
}

/* ---- writing */

static int fail(struct sink_file *file, struct weir_error *err, const char *what)
{
	weir_error_set(&file->failed, WEIR_EIO, "%.200s %s", file->name, what);
	return weir_error_set(err, WEIR_EIO, "%s", file->failed.text);
}

/* Whether it is still the file of that name, and as long as we left it. */
static int check_undisturbed(struct sink_file *file, struct weir_error *err)
{
	struct stat own, named;
	if (fstat(file->fd, &own))
		return refuse(file, err, -errno, "write");
	if (stat(file->path, &named) || own.st_dev != named.st_dev || own.st_ino != named.st_ino)
		return fail(file, err, "was moved, deleted or replaced while this run was writing to it");
	if (own.st_size != file->off)
		return fail(file, err, "was changed by another program while this run was writing to it");
	return 0;
}

/* at < 0: where the descriptor stands. */
static int write_text(int fd, const char *text, size_t n, off_t at, size_t *ret_written)
{
	size_t done = 0;
	int code = 0;
	while (done < n && !code) {
		ssize_t put =
			at < 0 ? write(fd, text + done, n - done) : pwrite(fd, text + done, n - done, at + (off_t)done);
		if (put >= 0)
			done += (size_t)put;
		else if (errno != EINTR)
			code = errno == EDQUOT ? WEIR_ENOSPC : -errno;
	}
	*ret_written = done;
	return code;
}

/* Takes back a part of a batch that was written last; not when something else has been written behind it. */
static bool cut_off(int fd, off_t before, size_t written)
{
	struct stat st;
	return fstat(fd, &st) == 0 && st.st_size == before + (off_t)written && ftruncate(fd, before) == 0 &&
	       lseek(fd, before, SEEK_SET) == before;
}

int sink_file_write(struct sink_file *file, const char *text, size_t n, struct weir_error *err)
{
	size_t written;
	if (file->failed.code)
		return weir_error_set(err, file->failed.code, "%s", file->failed.text);
	int code = file->exact ? check_undisturbed(file, err) : 0;
	if (code)
		return code;
	int flags = fcntl(file->fd, F_GETFL);
	off_t before =
		file->exact ? file->off : lseek(file->fd, 0, flags >= 0 && (flags & O_APPEND) ? SEEK_END : SEEK_CUR);
	if (before < 0)
		return refuse(file, err, -errno, "write");
	code = write_text(file->fd, text, n, file->exact ? before : -1, &written);
	if (code) {
		bool torn = written && !cut_off(file->fd, before, written);
		if (torn && file->exact)
			return fail(file, err, "holds a part of a batch that could not be cut off again");
		file->mid_line = file->mid_line || torn;
		return refuse(file, err, code, "write");
	}
	/* What cannot be synced at all, and is no file of a run that could go on, need not be. */
	if (fdatasync(file->fd) && (file->exact || (errno != EINVAL && errno != EROFS)))
		return fail(file, err, "could not be synced: what it holds now is not certain");
	file->mid_line = false;
	file->empty = false;
	if (file->exact)
		move_tail(file, text, n);
	return 0;
}
