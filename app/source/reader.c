/* SPDX-License-Identifier: MIT */
/*
 * One buffer, filled in big chunks at its end and emptied line by line at its start:
 *
 *     data   start          scanned            end      room
 *      |......[ a line begins |  not yet looked at |  free  |
 *
 * A regular file is read on a thread, 256 KiB at a time, so that a slow disk stops nobody and the hand-over costs
 * nothing a line.  What can be polled is read without blocking.  libuv sets O_NONBLOCK on what it polls, and the flag
 * belongs to everyone who has the same terminal or pipe open; so the standard input is opened anew, with flags of its
 * own, and only where that cannot be done (a socket, another user's pipe) is the flag set, and put back at the end.
 *
 * A line that is too long keeps its first bytes at the start of the buffer while the rest is thrown away behind them.
 */
#include "source/reader.h"

#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define CHUNK     ((size_t)256 << 10)
#define SLACK     ((size_t)16 << 10) /* what is left of a usual line before the next chunk */
#define BOM       "\xEF\xBB\xBF"
#define BOM_BYTES ((size_t)3)

struct source_reader {
	const char *name;
	int fd;
	int flags;          /* to be put back at the end; -1: nothing to put back */
	struct weir_io *io; /* NULL: reads on a thread */
	bool unconnected;   /* a FIFO that may have had no writer yet: a read would take that for the end */
	bool skipping;      /* inside a line that is too long */
	bool ended;
	char *data;
	size_t start, scanned, end, room;
	uint64_t lines, bytes, skipped_bytes;
	int64_t total_bytes;
};

/* What a thread does for the reader. */
struct read_job {
	int fd;
	void *to;
	size_t n;
	ssize_t result; /* as weir_io_read() */
	bool done;
};

static int refuse(struct source_reader *reader, struct weir_error *err, int code, const char *doing)
{
	return weir_error_set(err, code, "cannot %s %s: %s", doing, reader->name, weir_strerror(code));
}

/* Opening the descriptor's name in /proc makes a new description of the same terminal, pipe or file.  A file stays
 * shared: its position may not be where a new description would begin. */
static int open_stdin(struct source_reader *reader)
{
	struct stat st;
	if (fstat(STDIN_FILENO, &st))
		return -errno;
	if (S_ISFIFO(st.st_mode) || isatty(STDIN_FILENO))
		reader->fd = open("/proc/self/fd/0", O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (reader->fd >= 0)
		return 0;
	reader->fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3);
	if (reader->fd < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		reader->flags = fcntl(reader->fd, F_GETFL);
	return 0;
}

static int open_path(struct source_reader *reader, const char *path)
{
	struct statfs fs;
	struct stat st;
	reader->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (reader->fd < 0 || fstat(reader->fd, &st))
		return -errno;
	if (S_ISDIR(st.st_mode))
		return -EISDIR;
	reader->unconnected = S_ISFIFO(st.st_mode) && fstatfs(reader->fd, &fs) == 0 && (long)fs.f_type != PIPEFS_MAGIC;
	return 0;
}

/* Regular files and devices such as /dev/null cannot be polled; then a thread reads. */
static int start_watching(struct source_reader *reader)
{
	struct stat st;
	if (fstat(reader->fd, &st))
		return -errno;
	if (S_ISREG(st.st_mode)) {
		off_t at = lseek(reader->fd, 0, SEEK_CUR);
		reader->total_bytes = at < 0 || at > st.st_size ? 0 : st.st_size - at;
		return 0;
	}
	int code = weir_io_open(reader->fd, &reader->io);
	return code == -EPERM ? 0 : code;
}

int source_reader_open(const char *path, struct source_reader **ret_reader, struct weir_error *err)
{
	struct source_reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	*reader = (struct source_reader){
		.name = path ? path : "the standard input", .fd = -1, .flags = -1, .total_bytes = -1};
	int code = path ? open_path(reader, path) : open_stdin(reader);
	if (!code)
		code = start_watching(reader);
	if (code) {
		refuse(reader, err, code, "open");
		source_reader_close(reader);
		return code;
	}
	*ret_reader = reader;
	return 0;
}

void source_reader_close(struct source_reader *reader)
{
	if (!reader)
		return;
	weir_io_close(reader->io);
	if (reader->flags >= 0)
		fcntl(reader->fd, F_SETFL, reader->flags);
	if (reader->fd >= 0)
		close(reader->fd);
	free(reader->data);
	free(reader);
}

static int make_room(struct source_reader *reader)
{
	if (reader->start && reader->room - reader->end < CHUNK) {
		memmove(reader->data, reader->data + reader->start, reader->end - reader->start);
		reader->scanned -= reader->start;
		reader->end -= reader->start;
		reader->start = 0;
	}
	if (reader->room - reader->end >= CHUNK)
		return 0;
	size_t room = reader->end + CHUNK + SLACK;
	char *data = realloc(reader->data, room);
	if (!data)
		return WEIR_ENOMEM;
	reader->data = data;
	reader->room = room;
	return 0;
}

static int read_on_thread(void *arg)
{
	struct read_job *job = arg;
	do
		job->result = read(job->fd, job->to, job->n);
	while (job->result < 0 && errno == EINTR);
	if (job->result < 0)
		job->result = -errno;
	job->done = true;
	return 0;
}

/* What was read is kept even when the call was cancelled meanwhile: the file's position has moved. */
static ssize_t read_file(struct source_reader *reader, char *to, size_t n, weir_nsec deadline)
{
	struct read_job job = {.fd = reader->fd, .to = to, .n = n};
	int code = weir_offload(read_on_thread, &job, deadline);
	return job.done ? job.result : code;
}

/* A pipe may never make the reader wait; so others get their turn. */
static ssize_t read_stream(struct source_reader *reader, char *to, size_t n, weir_nsec deadline)
{
	int code = reader->unconnected ? weir_io_wait(reader->io, WEIR_READABLE, deadline) : weir_yield();
	if (code < 0)
		return code;
	reader->unconnected = false;
	return weir_io_read(reader->io, to, n, deadline);
}

static int fill(struct source_reader *reader, struct weir_error *err, weir_nsec deadline)
{
	if (make_room(reader))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	char *to = reader->data + reader->end;
	ssize_t n = reader->io ? read_stream(reader, to, CHUNK, deadline) : read_file(reader, to, CHUNK, deadline);
	if (n < 0)
		return refuse(reader, err, (int)n, "read");
	reader->end += (size_t)n;
	reader->ended = n == 0;
	return 0;
}

/* Hands out data[start..end of line) and steps over `ending` bytes behind it. */
static int take_line(struct source_reader *reader, size_t len, size_t ending, struct source_line *ret_line)
{
	struct source_line line = {.text = reader->data + reader->start, .len = len, .number = ++reader->lines};
	reader->bytes += len + ending + reader->skipped_bytes;
	reader->start += len + ending;
	reader->scanned = reader->start;
	if (line.number == 1 && len >= BOM_BYTES && memcmp(line.text, BOM, BOM_BYTES) == 0) {
		line.text += BOM_BYTES;
		line.len -= BOM_BYTES;
	}
	if (ending && line.len && line.text[line.len - 1] == '\r')
		line.len--;
	line.too_long = reader->skipping || line.len > SOURCE_LINE_MAX;
	if (line.too_long && line.len > SOURCE_EXCERPT_MAX)
		line.len = SOURCE_EXCERPT_MAX;
	reader->skipping = false;
	reader->skipped_bytes = 0;
	*ret_line = line;
	return 1;
}

/* No end of line so far: a line that cannot become short enough any more is thrown away but for its beginning. */
static void skip_excess(struct source_reader *reader)
{
	const size_t kept = SOURCE_EXCERPT_MAX + BOM_BYTES;
	if (!reader->skipping && reader->end - reader->start <= SOURCE_LINE_MAX + BOM_BYTES + 1)
		return;
	reader->skipping = true;
	reader->skipped_bytes += reader->end - reader->start - kept;
	reader->end = reader->scanned = reader->start + kept;
}

int source_reader_next(struct source_reader *reader, struct source_line *ret_line, struct weir_error *err,
		       weir_nsec deadline)
{
	for (;;) {
		size_t left = reader->end - reader->scanned;
		char *newline = left ? memchr(reader->data + reader->scanned, '\n', left) : NULL;
		if (newline)
			return take_line(reader, (size_t)(newline - reader->data) - reader->start, 1, ret_line);
		reader->scanned = reader->end;
		if (left)
			skip_excess(reader);
		if (reader->ended)
			return reader->end > reader->start ? take_line(reader, reader->end - reader->start, 0, ret_line)
							   : 0;
		int code = fill(reader, err, deadline);
		if (code)
			return code;
	}
}

void source_reader_progress(const struct source_reader *reader, struct source_progress *ret_progress)
{
	*ret_progress = (struct source_progress){
		.total_bytes = reader->total_bytes,
		.bytes = reader->bytes,
		.ended = reader->ended && reader->start == reader->end,
	};
}
