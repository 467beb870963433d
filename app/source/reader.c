/* SPDX-License-Identifier: MIT */
/*
 * One buffer, filled in big chunks at its end and emptied line by line at its start:
 *
 *     data   start          scanned            end      room
 *      |......[ a line begins |  not yet looked at |  free  |
 *
 * A regular file is read on a thread, 256 KiB at a time, so that a slow disk stops nobody and the hand-over costs
 * nothing a line.  A fiber of its own waits for the thread, for the caller may not have the time: then the read goes on
 * without it, into the free room, and the next call finds what came of it.  What can be polled is read without
 * blocking.
 *
 * A line that is too long keeps its first bytes at the start of the buffer while the rest is thrown away behind them.
 */
#include "source/reader.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define CHUNK     ((size_t)256 << 10)
#define SLACK     ((size_t)16 << 10) /* what is left of a usual line before the next chunk */
#define BOM       "\xEF\xBB\xBF"
#define BOM_BYTES ((size_t)3)

/* What a thread does for the reader. */
struct read_job {
	int fd;
	void *to;
	size_t n;
	ssize_t result; /* as weir_io_read() */
	int64_t size;   /* of the file, when it was found to end; -1: unknown */
	bool done;
};

struct source_reader {
	struct source_file file;
	source_end_fn find_end;
	const void *arg;
	struct weir_io *io;         /* NULL: reads on a thread */
	struct weir_group *reading; /* the fiber of a read under way, or NULL */
	struct read_job job;
	bool begun;    /* past where a byte order mark may be */
	bool skipping; /* inside a line that is too long */
	bool ended;
	char *data;
	size_t start, scanned, end, room;
	unsigned state;  /* of find_end in the line that begins at start */
	uint64_t breaks; /* in that line, so far */
	uint64_t begin, offset, lines, skipped_bytes;
};

static int refuse(struct source_reader *reader, struct weir_error *err, int code)
{
	return weir_error_set(err, code, "cannot read %s: %s", reader->file.name, weir_strerror(code));
}

static const char *find_newline(const void *arg, unsigned *state, const char *text, size_t n, uint64_t *breaks)
{
	(void)arg, (void)state, (void)breaks;
	return memchr(text, '\n', n);
}

/* Regular files and devices such as /dev/null cannot be polled; then a thread reads. */
static int start_watching(struct source_reader *reader, struct weir_error *err)
{
	int code = reader->file.regular ? 0 : weir_io_open(reader->file.fd, &reader->io);
	if (!code || code == -EPERM)
		return 0;
	return weir_error_set(err, code, "cannot open %s: %s", reader->file.name, weir_strerror(code));
}

int source_reader_open(const char *path, source_end_fn find_end, const void *arg, struct source_reader **ret_reader,
		       struct weir_error *err)
{
	struct source_reader *reader = calloc(1, sizeof *reader);
	if (!reader)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	reader->find_end = find_end ? find_end : find_newline;
	reader->arg = arg;
	int code = source_file_open(path, &reader->file, err);
	if (!code)
		code = start_watching(reader, err);
	if (code) {
		source_reader_close(reader);
		return code;
	}
	reader->begin = reader->offset = reader->file.begin;
	reader->begun = reader->begin > 0;
	*ret_reader = reader;
	return 0;
}

/* Waits for a read under way and forgets what it brought. */
static void drop_reading(struct source_reader *reader)
{
	if (!reader->reading)
		return;
	weir_shield_enter();
	weir_group_wait(reader->reading, WEIR_FOREVER);
	weir_shield_leave();
	weir_group_free(reader->reading);
	reader->reading = NULL;
}

void source_reader_close(struct source_reader *reader)
{
	if (!reader)
		return;
	drop_reading(reader);
	weir_io_close(reader->io);
	source_file_close(&reader->file);
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
	struct stat st;
	do
		job->result = read(job->fd, job->to, job->n);
	while (job->result < 0 && errno == EINTR);
	if (job->result < 0)
		job->result = -errno;
	if (job->result == 0 && fstat(job->fd, &st) == 0 && S_ISREG(st.st_mode))
		job->size = st.st_size;
	job->done = true;
	return 0;
}

static int read_on_fiber(void *arg)
{
	return weir_offload(read_on_thread, arg, WEIR_FOREVER);
}

static int start_reading(struct source_reader *reader)
{
	static const struct weir_group_options collect = {.flags = WEIR_GROUP_COLLECT};
	static const struct weir_spawn_options name = {.name = "read"};
	if (make_room(reader))
		return WEIR_ENOMEM;
	reader->job =
		(struct read_job){.fd = reader->file.fd, .to = reader->data + reader->end, .n = CHUNK, .size = -1};
	int code = weir_group_new(&collect, &reader->reading);
	if (code)
		return code;
	code = weir_group_spawn_with(reader->reading, &name, read_on_fiber, &reader->job, WEIR_FOREVER);
	if (code) {
		weir_group_free(reader->reading);
		reader->reading = NULL;
	}
	return code;
}

/* A cancel waits for the thread, too; what was read is kept, for the file's position has moved. */
static ssize_t read_file(struct source_reader *reader, weir_nsec deadline)
{
	int code = reader->reading ? 0 : start_reading(reader);
	if (code)
		return code;
	code = weir_group_wait(reader->reading, deadline);
	if (weir_group_alive(reader->reading))
		return code;
	weir_group_free(reader->reading);
	reader->reading = NULL;
	return reader->job.done ? reader->job.result : code;
}

/* A pipe may never make the reader wait; so others get their turn. */
static ssize_t read_stream(struct source_reader *reader, weir_nsec deadline)
{
	int code = make_room(reader);
	if (!code)
		code = reader->file.unconnected ? weir_io_wait(reader->io, WEIR_READABLE, deadline) : weir_yield();
	if (code < 0)
		return code;
	reader->file.unconnected = false;
	return weir_io_read(reader->io, reader->data + reader->end, CHUNK, deadline);
}

/* A file that ends before the place that was reached has been cut; what was behind it may never have been read. */
static int check_end(const struct source_reader *reader, struct weir_error *err)
{
	uint64_t reached = reader->offset + reader->skipped_bytes + (reader->end - reader->start);
	if (reader->io || reader->job.size < 0 || (uint64_t)reader->job.size >= reached)
		return 0;
	return weir_error_set(err, WEIR_EIO,
			      "%s was cut while it was read: it has %" PRId64
			      " bytes, and reading had come to %" PRIu64,
			      reader->file.name, reader->job.size, reached);
}

static int fill(struct source_reader *reader, struct weir_error *err, weir_nsec deadline)
{
	ssize_t n = reader->io ? read_stream(reader, deadline) : read_file(reader, deadline);
	if (n < 0)
		return refuse(reader, err, (int)n);
	if (n == 0 && check_end(reader, err))
		return WEIR_EIO;
	reader->end += (size_t)n;
	reader->ended = n == 0;
	return 0;
}

/* Steps over a byte order mark.  False: it takes more bytes to know. */
static bool skip_mark(struct source_reader *reader)
{
	size_t n = reader->end - reader->start;
	size_t look = n < BOM_BYTES ? n : BOM_BYTES;
	bool maybe = look == 0 || memcmp(reader->data + reader->start, BOM, look) == 0;
	if (maybe && look < BOM_BYTES && !reader->ended)
		return false;
	reader->begun = true;
	if (maybe && look == BOM_BYTES) {
		reader->start += BOM_BYTES;
		reader->scanned = reader->start;
		reader->offset += BOM_BYTES;
	}
	return true;
}

static void begin_line(struct source_reader *reader)
{
	reader->scanned = reader->start;
	reader->skipping = false;
	reader->skipped_bytes = 0;
	reader->state = 0;
	reader->breaks = 0;
}

/* Hands out data[start..end of line) and steps over `ending` bytes behind it. */
static int take_line(struct source_reader *reader, size_t len, size_t ending, struct source_line *ret_line)
{
	struct source_line line = {
		.text = reader->data + reader->start,
		.len = len,
		.number = reader->lines + 1,
		.breaks = reader->breaks,
	};
	reader->lines += 1 + reader->breaks;
	reader->offset += len + ending + reader->skipped_bytes;
	reader->start += len + ending;
	if (ending && line.len && line.text[line.len - 1] == '\r')
		line.len--;
	line.too_long = reader->skipping || line.len > SOURCE_LINE_MAX;
	if (line.too_long && line.len > SOURCE_EXCERPT_MAX)
		line.len = SOURCE_EXCERPT_MAX;
	begin_line(reader);
	*ret_line = line;
	return 1;
}

/* No end of line so far: a line that cannot become short enough any more is thrown away but for its beginning. */
static void skip_excess(struct source_reader *reader)
{
	if (!reader->skipping && reader->end - reader->start <= SOURCE_LINE_MAX + 1)
		return;
	reader->skipping = true;
	reader->skipped_bytes += reader->end - reader->start - SOURCE_EXCERPT_MAX;
	reader->end = reader->scanned = reader->start + SOURCE_EXCERPT_MAX;
}

int source_reader_next(struct source_reader *reader, struct source_line *ret_line, struct weir_error *err,
		       weir_nsec deadline)
{
	for (;;) {
		bool begun = reader->begun || skip_mark(reader);
		size_t left = begun ? reader->end - reader->scanned : 0;
		const char *end = left ? reader->find_end(reader->arg, &reader->state, reader->data + reader->scanned,
							  left, &reader->breaks)
				       : NULL;
		if (end)
			return take_line(reader, (size_t)(end - reader->data) - reader->start, 1, ret_line);
		reader->scanned += left;
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

/* What lies around a place: the byte before it, and two behind. */
struct around {
	char bytes[3];
	ssize_t n;
};

static int look_around(int fd, uint64_t offset, struct around *ret_around)
{
	do
		ret_around->n = pread(fd, ret_around->bytes, sizeof ret_around->bytes, (off_t)offset - 1);
	while (ret_around->n < 0 && errno == EINTR);
	return ret_around->n < 0 ? -errno : 0;
}

/* A last line that had no end has perhaps got one since, or has become longer: then what was handed out was only its
 * beginning.  Returns how many bytes its end has, or WEIR_EINVAL. */
static int check_place(struct source_reader *reader, const struct source_place *place, struct weir_error *err)
{
	struct around around;
	int code = place->offset ? look_around(reader->file.fd, place->offset, &around) : 0;
	if (code)
		return refuse(reader, err, code);
	if (!place->offset || around.n < 2 || around.bytes[0] == '\n')
		return 0;
	if (around.bytes[1] == '\n')
		return 1;
	if (around.n == 3 && around.bytes[1] == '\r' && around.bytes[2] == '\n')
		return 2;
	return weir_error_set(err, WEIR_EINVAL,
			      "%s has changed: line %" PRIu64 ", which was read, ended at byte %" PRIu64
			      " and does not now; put the file back, or begin anew with --fresh",
			      reader->file.name, place->lines, place->offset);
}

int source_reader_goto(struct source_reader *reader, const struct source_place *place, struct weir_error *err)
{
	int ending = check_place(reader, place, err);
	if (ending < 0)
		return ending;
	drop_reading(reader);
	uint64_t offset = place->offset + (unsigned)ending;
	if (lseek(reader->file.fd, (off_t)offset, SEEK_SET) < 0)
		return refuse(reader, err, -errno);
	reader->start = reader->end = 0;
	reader->ended = false;
	reader->begun = offset > 0;
	reader->begin = 0;
	reader->offset = offset;
	reader->lines = place->lines;
	begin_line(reader);
	return 0;
}

void source_reader_place(const struct source_reader *reader, struct source_place *ret_place)
{
	*ret_place = (struct source_place){.offset = reader->offset, .lines = reader->lines};
}

void source_reader_progress(const struct source_reader *reader, struct source_progress *ret_progress)
{
	uint64_t size = reader->file.size > reader->begin ? reader->file.size - reader->begin : 0;
	*ret_progress = (struct source_progress){
		.total_bytes = reader->file.regular ? (int64_t)size : -1,
		.bytes = reader->offset - reader->begin,
		.ended = reader->ended && reader->start == reader->end,
	};
}

const struct source_file *source_reader_file(const struct source_reader *reader)
{
	return &reader->file;
}
