/* SPDX-License-Identifier: MIT */
/*
 * A batch becomes one text, and the text goes out in one write where the system takes it at once.
 *
 *   regular file   on a thread: write, then fdatasync.  A write that fails half-way is cut off again (ftruncate). After
 *                  a failed fdatasync nobody knows what is on the disk: the sink stays failed.
 *   what polls     on the loop, without blocking: a reader that sleeps stops this fiber and nothing else.  As in
 *                  source/reader.c a description of its own keeps O_NONBLOCK away from those who share the terminal.
 *   anything else  (/dev/null) on a thread.
 *
 * Outputs are JSON; a line end in one can only be space between its tokens, and becomes a blank.
 */
#include "sink/writer.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/weir.h>

#include "port/buf.h"

#define TEXT_KEPT   ((size_t)4 << 20) /* memory for a batch that is kept for the next */
#define FIFO_WAIT   (5 * WEIR_SEC)
#define FIFO_PERIOD (20 * WEIR_MSEC)

struct sink {
	const char *name;
	int fd;
	int flags;          /* to be put back at the end; -1: nothing to put back */
	struct weir_io *io; /* NULL: writes on a thread */
	bool regular;
	bool mid_line; /* what was written last may not end a line */
	int failed;    /* for good: what every further write answers */
	struct buf text;
};

/* What a thread does for the sink. */
struct write_job {
	struct sink *sink;
	const struct sink_item *items;
	size_t n;
	struct weir_error *err;
	int result;
	bool done;
};

static int refuse(const struct sink *sink, struct weir_error *err, int code, const char *doing)
{
	return weir_error_set(err, code, "cannot %s %s: %s", doing, sink->name, weir_strerror(code));
}

/* ---- opening */

/* A file that was left in the middle of a line, by another program or a crash. */
static bool ends_in_mid_line(int fd, off_t size)
{
	char path[32], last = '\n';
	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	int reader = open(path, O_RDONLY | O_CLOEXEC);
	if (reader < 0)
		return false;
	ssize_t got = size ? pread(reader, &last, 1, size - 1) : 0;
	close(reader);
	return got == 1 && last != '\n';
}

static int prepare_file(struct sink *sink, bool append, off_t size, struct weir_error *err)
{
	if (flock(sink->fd, LOCK_EX | LOCK_NB) && errno == EWOULDBLOCK)
		return weir_error_set(err, WEIR_EBUSY,
				      "%s is being written by another run; wait for it or name "
				      "another file",
				      sink->name);
	if (append)
		sink->mid_line = ends_in_mid_line(sink->fd, size);
	else if (ftruncate(sink->fd, 0))
		return refuse(sink, err, -errno, "empty");
	return 0;
}

/* A FIFO without a reader cannot be opened for writing without blocking. */
static int open_file(const char *path)
{
	const int flags = O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
	const weir_nsec last = weir_now() + FIFO_WAIT;
	for (;;) {
		struct stat st;
		int fd = open(path, flags, 0644);
		int code = fd < 0 ? -errno : fd;
		if (code != -ENXIO || stat(path, &st) || !S_ISFIFO(st.st_mode))
			return code;
		if (weir_now() >= last)
			return WEIR_EPIPE;
		code = weir_sleep(FIFO_PERIOD);
		if (code)
			return code;
	}
}

/* A description of its own where that is possible, else the shared one. */
static int open_copy(struct sink *sink, int fd)
{
	struct stat st;
	if (fstat(fd, &st))
		return -errno;
	if (S_ISFIFO(st.st_mode) || isatty(fd))
		sink->fd = open(fd == STDERR_FILENO ? "/proc/self/fd/2" : "/proc/self/fd/1",
				O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (sink->fd >= 0)
		return 0;
	sink->fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (sink->fd < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		sink->flags = fcntl(sink->fd, F_GETFL);
	return 0;
}

static struct sink *make_sink(const char *name, struct weir_error *err)
{
	struct sink *sink = malloc(sizeof *sink);
	if (sink)
		*sink = (struct sink){.name = name, .fd = -1, .flags = -1};
	else
		weir_error_set(err, WEIR_ENOMEM, "out of memory");
	return sink;
}

static int start_watching(struct sink *sink, struct weir_error *err)
{
	if (sink->regular)
		return 0;
	int code = weir_io_open(sink->fd, &sink->io);
	return code && code != -EPERM ? refuse(sink, err, code, "open") : 0;
}

int sink_writer_open_fd(int fd, struct sink **ret_sink, struct weir_error *err)
{
	struct sink *sink = make_sink(fd == STDERR_FILENO ? "the standard error" : "the standard output", err);
	struct stat st;
	if (!sink)
		return WEIR_ENOMEM;
	int code = open_copy(sink, fd);
	if (!code && fstat(sink->fd, &st))
		code = -errno;
	if (code) {
		refuse(sink, err, code, "open");
	} else {
		sink->regular = S_ISREG(st.st_mode);
		code = start_watching(sink, err);
	}
	if (code) {
		sink_writer_close(sink, NULL);
		return code;
	}
	*ret_sink = sink;
	return 0;
}

int sink_writer_open(const char *path, bool append, struct sink **ret_sink, struct weir_error *err)
{
	struct stat st;
	if (strcmp(path, "/dev/stdout") == 0 || strcmp(path, "/dev/stderr") == 0)
		return sink_writer_open_fd(strcmp(path, "/dev/stdout") == 0 ? STDOUT_FILENO : STDERR_FILENO, ret_sink,
					   err);
	struct sink *sink = make_sink(path, err);
	if (!sink)
		return WEIR_ENOMEM;
	sink->fd = open_file(path);
	int code = sink->fd < 0 ? sink->fd : fstat(sink->fd, &st) ? -errno : 0;
	if (code) {
		refuse(sink, err, code, "open");
	} else {
		sink->regular = S_ISREG(st.st_mode);
		code = sink->regular ? prepare_file(sink, append, st.st_size, err) : start_watching(sink, err);
	}
	if (code) {
		sink_writer_close(sink, NULL);
		return code;
	}
	*ret_sink = sink;
	return 0;
}

int sink_writer_close(struct sink *sink, struct weir_error *err)
{
	(void)err; /* each batch was synced when it was written */
	weir_io_close(sink->io);
	if (sink->flags >= 0)
		fcntl(sink->fd, F_SETFL, sink->flags);
	if (sink->fd >= 0)
		close(sink->fd);
	buf_fini(&sink->text);
	free(sink);
	return 0;
}

/* ---- writing */

static void blank_line_ends(char *text, size_t n)
{
	for (char *at = text; (at = memchr(at, '\n', (size_t)(text + n - at))) != NULL;)
		*at = ' ';
	for (char *at = text; (at = memchr(at, '\r', (size_t)(text + n - at))) != NULL;)
		*at = ' ';
}

static int build_text(struct sink *sink, const struct sink_item *items, size_t n)
{
	struct buf *text = &sink->text;
	buf_clear(text);
	if (sink->mid_line)
		buf_add_char(text, '\n');
	size_t before = text->len;
	for (size_t i = 0; i < n; i++) {
		const struct value_list *outputs = &items[i].item->outputs;
		for (size_t k = 0; k < outputs->n; k++) {
			size_t at = text->len;
			if (buf_add(text, outputs->values[k].data, outputs->values[k].len))
				return WEIR_ENOMEM;
			blank_line_ends(text->data + at, text->len - at);
			buf_add_char(text, '\n');
		}
	}
	if (text->len == before)
		buf_clear(text);
	return text->failed ? WEIR_ENOMEM : 0;
}

static int write_code(int code)
{
	return code == -EDQUOT ? WEIR_ENOSPC : code == -ECONNRESET ? WEIR_EPIPE : code;
}

static int write_text(int fd, const char *text, size_t n, size_t *ret_written)
{
	size_t done = 0;
	int code = 0;
	while (done < n && !code) {
		ssize_t put = write(fd, text + done, n - done);
		if (put >= 0)
			done += (size_t)put;
		else if (errno != EINTR)
			code = write_code(-errno);
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

static int write_file(struct sink *sink, struct weir_error *err)
{
	int flags = fcntl(sink->fd, F_GETFL);
	off_t before = lseek(sink->fd, 0, flags >= 0 && (flags & O_APPEND) ? SEEK_END : SEEK_CUR);
	size_t written;
	if (before < 0)
		return refuse(sink, err, -errno, "write");
	int code = write_text(sink->fd, sink->text.data, sink->text.len, &written);
	if (code) {
		if (written && !cut_off(sink->fd, before, written))
			sink->mid_line = true;
		return refuse(sink, err, code, "write");
	}
	sink->mid_line = false;
	if (fdatasync(sink->fd) && errno != EINVAL && errno != EROFS)
		sink->failed = WEIR_EIO;
	return sink->failed ? refuse(sink, err, sink->failed, "sync") : 0;
}

static int write_device(struct sink *sink, struct weir_error *err)
{
	size_t written;
	int code = write_text(sink->fd, sink->text.data, sink->text.len, &written);
	sink->mid_line = code && (sink->mid_line || written);
	return code ? refuse(sink, err, code, "write") : 0;
}

static int write_on_thread(void *arg)
{
	struct write_job *job = arg;
	job->result = build_text(job->sink, job->items, job->n);
	if (job->result)
		weir_error_set(job->err, job->result, "out of memory");
	else if (job->sink->text.len)
		job->result = job->sink->regular ? write_file(job->sink, job->err) : write_device(job->sink, job->err);
	job->done = true;
	return 0;
}

static int write_stream(struct sink *sink, const struct sink_item *items, size_t n, struct weir_error *err,
			weir_nsec deadline)
{
	if (weir_canceled())
		return weir_error_set(err, WEIR_ECANCELED, "cancelled");
	if (build_text(sink, items, n))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = weir_io_write(sink->io, sink->text.data, sink->text.len, deadline);
	sink->mid_line = code < 0;
	return code < 0 ? refuse(sink, err, write_code(code), "write") : 0;
}

/* What the thread has written is written, even if the fiber was cancelled meanwhile. */
static int write_batch(struct sink *sink, const struct sink_item *items, size_t n, struct weir_error *err,
		       weir_nsec deadline)
{
	struct write_job job = {.sink = sink, .items = items, .n = n, .err = err};
	int code = weir_offload(write_on_thread, &job, deadline);
	return job.done ? job.result : refuse(sink, err, code, "write");
}

int sink_writer_write(struct sink *sink, struct sink_item *items, size_t n, struct weir_error *err, weir_nsec deadline)
{
	if (sink->failed)
		return refuse(sink, err, sink->failed, "write");
	int code = sink->io ? write_stream(sink, items, n, err, deadline) : write_batch(sink, items, n, err, deadline);
	if (sink->text.room > TEXT_KEPT)
		buf_fini(&sink->text);
	if (code)
		return code;
	for (size_t i = 0; i < n; i++)
		items[i].verdict = 0;
	return 0;
}
