/* SPDX-License-Identifier: MIT */
/*
 * See file.h.  A write that fails half-way is cut off again.  After a failed fdatasync nobody knows what is on the
 * disk, so the file stays failed; what is really there shows when it is opened at the position of the last ack.
 *
 * A file that somebody moves, cuts or writes to while it is open is found before the next batch, which would otherwise
 * go to a file without a name, or leave a hole.
 */
#include "files/output.h"

#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "data/crc.h"

#define TAIL_MOST ((size_t)4096)

enum { TURN_TRIES = 40, TURN_STEP_MS = 5 };

#define ADVICE "restore it, name another file and resume with --adopt, or start over with --fresh"

/* A position that was read back. */
struct output_place {
	off_t off;
	uint32_t crc;
	uint64_t inode; /* 0: not known */
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

/* Whether the n bytes at its beginning are these. */
static int begins_with(const struct sink_file *file, const char *bytes, size_t n, struct weir_error *err)
{
	char *head = malloc(n);
	if (!head)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	ssize_t got = read_at(file, head, n, 0);
	bool same = got == (ssize_t)n && memcmp(head, bytes, n) == 0;
	free(head);
	return got < 0 ? refuse(file, err, (int)got, "read") : same;
}

int sink_file_begins_with(const struct sink_file *file, const char *line, struct weir_error *err)
{
	return begins_with(file, line, strlen(line), err);
}

/* Whether nothing is in it but the head or a part of that. */
static int holds_no_more_than(const struct sink_file *file, const struct value *head, struct weir_error *err)
{
	if (file->size <= 0 || (uint64_t)file->size > head->len)
		return file->size <= 0;
	return begins_with(file, head->data, (size_t)file->size, err);
}

/* The file goes on behind `off`. */
static int load_tail(struct sink_file *file, off_t off)
{
	size_t n = off < (off_t)TAIL_MOST ? (size_t)off : TAIL_MOST;
	if (!file->tail && !(file->tail = calloc(1, TAIL_MOST)))
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
		buf_addf(out, "file off=%lld crc=%08" PRIx32 " inode=%" PRIu64 " path=%s", (long long)file->off,
			 file->crc, file->inode, file->path);
}

/* Whether it is one of a file: a sink of another kind may have been here before. */
static bool read_place(const struct value *position, struct output_place *ret_place)
{
	long long off;
	struct output_place place = {0};
	const char *path = position ? strstr(position->data, " path=") : NULL;
	if (!path ||
	    sscanf(position->data, "file off=%lld crc=%8" SCNx32 " inode=%" SCNu64, &off, &place.crc, &place.inode) <
		    2 ||
	    off < 0)
		return false;
	place.off = (off_t)off;
	place.path = path + strlen(" path=");
	*ret_place = place;
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

/* malloc'ed, or NULL. */
static char *folder_of(const struct sink_file *file)
{
	const char *slash = strrchr(file->path, '/');
	return strndup(file->path, slash == file->path ? 1 : (size_t)(slash - file->path));
}

/* ---- opening */

static int lock_file(struct sink_file *file, struct weir_error *err)
{
	if (flock(file->fd, (file->shared ? LOCK_SH : LOCK_EX) | LOCK_NB) == 0 || errno != EWOULDBLOCK)
		return 0;
	return weir_error_set(err, WEIR_EBUSY, "%s is being written by another run; wait for it or name another file",
			      file->name);
}

/* Whether the folder takes the file that is to be made there. */
static int look_at_folder(const struct sink_file *file, struct weir_error *err)
{
	char *folder = folder_of(file);
	int code = !folder ? WEIR_ENOMEM : access(folder, W_OK | X_OK) ? -errno : 0;
	free(folder);
	return code ? refuse(file, err, code, "make") : 0;
}

static int look_at(struct sink_file *file, struct weir_error *err)
{
	struct stat st;
	file->size = -1;
	if (file->fd < 0)
		return look_at_folder(file, err);
	int code = lock_file(file, err);
	if (code)
		return code;
	if (fstat(file->fd, &st))
		return refuse(file, err, -errno, "open");
	file->size = st.st_size;
	file->inode = st.st_ino;
	return 0;
}

/* 1: it is what was written up to there; 0: it is not.  Of a file in which nothing was acked only the inode tells. */
static int matches(struct sink_file *file, const struct output_place *place, struct weir_error *err)
{
	if (file->size < place->off || (!place->off && place->inode && place->inode != file->inode))
		return 0;
	int code = load_tail(file, place->off);
	return code ? refuse(file, err, code, "read") : file->crc == place->crc;
}

static int refuse_gone(const struct sink_file *file, const struct output_place *place, struct weir_error *err)
{
	return weir_error_set(err, WEIR_EINVAL, "%.200s is missing, with %lld bytes that this run has written; " ADVICE,
			      file->name, (long long)place->off);
}

static int refuse_other(const struct sink_file *file, const struct output_place *place, struct weir_error *err)
{
	if (file->size < place->off)
		return weir_error_set(err, WEIR_EINVAL,
				      "%.200s was truncated or replaced: it has %lld of the %lld bytes that this run "
				      "has written; " ADVICE,
				      file->name, (long long)file->size, (long long)place->off);
	return weir_error_set(
		err, WEIR_EINVAL,
		"%.200s was replaced or changed: its first %lld bytes are not those that this run has written; " ADVICE,
		file->name, (long long)place->off);
}

static int refuse_longer(const struct sink_file *file, const struct output_place *place, struct weir_error *err)
{
	return weir_error_set(
		err, WEIR_EINVAL,
		"%.160s has %lld more bytes than this run has written: something was added to it, or the state is an "
		"older copy; remove them, restore the newer state, keep them with --adopt, or start over with --fresh",
		file->name, (long long)(file->size - place->off));
}

static int refuse_foreign(const struct sink_file *file, struct weir_error *err)
{
	return weir_error_set(err, WEIR_EINVAL,
			      "%.200s exists (%lld bytes) and was not written by this run; name another file, or set "
			      "on_start to append or replace",
			      file->name, (long long)file->size);
}

static void note(const struct sink_env *env, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note(const struct sink_env *env, const char *format, ...)
{
	char text[300];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	if (env->note)
		env->note(env->arg, text);
}

/* A file that this run has not written. */
static int begin(struct sink_file *file, enum sink_on_start on_start, const struct value *head,
		 const struct sink_env *env, struct weir_error *err)
{
	struct output_place was;
	int bare = holds_no_more_than(file, head, err);
	file->off = !bare && on_start == SINK_APPEND ? file->size : 0;
	if (bare || on_start == SINK_APPEND)
		return bare < 0 ? bare : 0;
	if (on_start == SINK_REFUSE) {
		bool known = file->exact && read_place(env->replaced, &was) && was.off;
		int ours = known ? matches(file, &was, err) : 0;
		file->off = 0;
		if (ours <= 0)
			return ours ? ours : refuse_foreign(file, err);
	}
	note(env, "replacing %.200s (%lld bytes)", file->name, (long long)file->size);
	return 0;
}

/* A file in which an earlier process of this run has come to this place. */
static int resume(struct sink_file *file, const struct output_place *place, const struct sink_env *env,
		  struct weir_error *err)
{
	off_t more = file->size - place->off;
	file->off = place->off;
	if (more <= 0)
		return 0;
	if (env->clean && !env->adopt)
		return refuse_longer(file, place, err);
	if (env->clean) {
		file->foreign = true;
		file->off = file->size;
	} else {
		note(env,
		     "removing the last %lld bytes of %.200s: they were not acknowledged, and will be written again",
		     (long long)more, file->name);
	}
	return 0;
}

static int open_exact(struct sink_file *file, enum sink_on_start on_start, const struct value *head,
		      const struct sink_env *env, struct weir_error *err)
{
	struct output_place place = {0};
	if (!read_place(env->position, &place))
		return begin(file, on_start, head, env, err);
	bool moved_on = env->adopt && strcmp(place.path, file->path) != 0;
	int same = file->size < 0 ? !place.off : matches(file, &place, err);
	if (same)
		return same < 0 ? same : resume(file, &place, env, err);
	if (moved_on)
		return begin(file, on_start, head, env, err);
	return file->size < 0 ? refuse_gone(file, &place, err) : refuse_other(file, &place, err);
}

/* A file to which others may be writing at this moment. */
static int join(struct sink_file *file, const struct value *head, const struct sink_env *env, struct weir_error *err)
{
	int bare = holds_no_more_than(file, head, err);
	if (bare < 0)
		return bare;
	file->off = bare ? 0 : file->size;
	if (bare)
		file->size = 0; /* a part of the head is not worth a cut, see sink_file_write_head() */
	else
		note(env, "appending to %.200s (%lld bytes)", file->name, (long long)file->size);
	return 0;
}

bool sink_file_is_exact(const struct sink_env *env)
{
	return env->run && !env->shared;
}

int sink_file_open(struct sink_file *file, enum sink_on_start on_start, const struct value *head,
		   const struct sink_env *env, struct weir_error *err)
{
	file->exact = sink_file_is_exact(env);
	file->shared = env->shared;
	file->foreign = on_start == SINK_APPEND;
	int code = find_path(file);
	code = code ? refuse(file, err, code, "open") : look_at(file, err);
	if (!code && file->exact)
		code = open_exact(file, on_start, head, env, err);
	else if (!code)
		code = env->joins ? join(file, head, env, err) : begin(file, on_start, head, env, err);
	file->empty = !file->off;
	return code;
}

/* ---- starting */

/* A new name is in its folder for good only once the folder is synced; some file systems need and know no such thing.
 */
static int sync_folder(const struct sink_file *file)
{
	char *folder = folder_of(file);
	int fd = folder ? open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;
	int code = !folder ? WEIR_ENOMEM : fd < 0 || (fsync(fd) && errno != EINVAL) ? -errno : 0;
	free(folder);
	if (fd >= 0)
		close(fd);
	return code;
}

static int make_file(struct sink_file *file, struct weir_error *err)
{
	file->fd = open(file->path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOCTTY | (file->exact ? 0 : O_APPEND), 0644);
	int code = file->fd < 0 ? -errno : file->exact || file->shared ? sync_folder(file) : 0;
	if (code)
		return refuse(file, err, code, "make");
	return look_at(file, err);
}

/* Of a run that begins; what somebody has written since it was opened stays. */
static int start_shared(struct sink_file *file, struct weir_error *err)
{
	struct stat st;
	if (file->size <= file->off || fstat(file->fd, &st) || st.st_size != file->size)
		return 0;
	return ftruncate(file->fd, file->off) ? refuse(file, err, -errno, "cut") : 0;
}

int sink_file_start(struct sink_file *file, struct weir_error *err)
{
	char last = '\n';
	bool is_there = file->fd >= 0;
	int code = is_there ? 0 : make_file(file, err);
	if (code || file->shared)
		return code || !is_there ? code : start_shared(file, err);
	if (file->size > file->off && ftruncate(file->fd, file->off))
		return refuse(file, err, -errno, "cut");
	if (!file->exact) {
		file->mid_line = file->off && read_at(file, &last, 1, file->off - 1) == 1 && last != '\n';
		return 0;
	}
	code = load_tail(file, file->off);
	if (!code && fsync(file->fd))
		code = -errno;
	return code ? refuse(file, err, code, "open") : 0;
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
	if (file->exact && own.st_size != file->off)
		return fail(file, err, "was changed by another program while this run was writing to it");
	return 0;
}

int sink_write_all(int fd, const char *text, size_t n, off_t at, size_t *ret_written)
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

static int write_text(struct sink_file *file, const char *text, size_t n, struct weir_error *err)
{
	size_t written;
	int code = file->exact || file->shared ? check_undisturbed(file, err) : 0;
	if (code)
		return code;
	int flags = fcntl(file->fd, F_GETFL);
	off_t before =
		file->exact ? file->off : lseek(file->fd, 0, flags >= 0 && (flags & O_APPEND) ? SEEK_END : SEEK_CUR);
	if (before < 0)
		return refuse(file, err, -errno, "write");
	code = sink_write_all(file->fd, text, n, file->exact ? before : -1, &written);
	if (code) {
		bool torn = written && !cut_off(file->fd, before, written);
		if (torn && file->exact)
			return fail(file, err, "contains a part of a batch that could not be removed");
		file->mid_line = file->mid_line || torn;
		return refuse(file, err, code, "write");
	}
	/* What cannot be synced at all, and is no file of a run that could go on, need not be. */
	if (fdatasync(file->fd) && (file->exact || file->shared || (errno != EINVAL && errno != EROFS)))
		return fail(file, err, "could not be synced: its content is uncertain");
	file->mid_line = false;
	file->empty = false;
	if (file->exact)
		move_tail(file, text, n);
	return 0;
}

/* ---- in turn with other processes */

/* Until nobody else writes.  Where files cannot be locked nobody waits.  WEIR_EBUSY: one has been at it for too long;
 * it may be suspended. */
static int take_turn(const struct sink_file *file, struct weir_error *err)
{
	struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET};
	for (int i = 0; fcntl(file->fd, F_OFD_SETLK, &lock); i++) {
		if (errno != EAGAIN && errno != EACCES)
			return 0;
		if (i == TURN_TRIES)
			return weir_error_set(err, WEIR_EBUSY, "another process is writing to %.200s, and does not end",
					      file->name);
		usleep(TURN_STEP_MS * 1000);
	}
	return 0;
}

static void end_turn(const struct sink_file *file)
{
	struct flock lock = {.l_type = F_UNLCK, .l_whence = SEEK_SET};
	fcntl(file->fd, F_OFD_SETLK, &lock);
}

/* Half a line that a killed process has left. */
static int end_line(struct sink_file *file, struct weir_error *err)
{
	struct stat st;
	size_t written;
	char last = '\n';
	if (fstat(file->fd, &st) || (st.st_size && read_at(file, &last, 1, st.st_size - 1) != 1))
		return refuse(file, err, -errno, "read");
	int code = last == '\n' ? 0 : sink_write_all(file->fd, "\n", 1, -1, &written);
	return code ? refuse(file, err, code, "write") : 0;
}

int sink_file_write(struct sink_file *file, const char *text, size_t n, struct weir_error *err)
{
	if (file->failed.code)
		return weir_error_set(err, file->failed.code, "%s", file->failed.text);
	if (!file->shared)
		return write_text(file, text, n, err);
	int code = take_turn(file, err);
	if (code)
		return code;
	code = end_line(file, err);
	if (!code)
		code = write_text(file, text, n, err);
	file->mid_line = false; /* the next turn sees */
	end_turn(file);
	return code;
}

/* In its turn: whether there is nothing but a part of the head, which is taken back. */
static int is_bare(struct sink_file *file, const struct value *head, struct weir_error *err)
{
	int code = look_at(file, err);
	int bare = code ? code : holds_no_more_than(file, head, err);
	if (bare > 0 && file->size && ftruncate(file->fd, 0))
		return refuse(file, err, -errno, "cut");
	return bare;
}

int sink_file_write_head(struct sink_file *file, const struct value *head, struct weir_error *err)
{
	if (!file->shared)
		return sink_file_write(file, head->data, head->len, err);
	int code = take_turn(file, err);
	if (code)
		return code;
	code = is_bare(file, head, err);
	if (code > 0)
		code = write_text(file, head->data, head->len, err);
	end_turn(file);
	return code;
}
