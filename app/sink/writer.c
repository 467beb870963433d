/* SPDX-License-Identifier: MIT */
/*
 * A batch becomes one text, and the text goes out in one write where the system takes it at once.
 *
 *   regular file   on a thread: written, then synced (sink/file.h)
 *   what polls     on the loop, without blocking: a reader that sleeps stops this fiber and nothing else.  As in
 *                  source/reader.c a description of its own keeps O_NONBLOCK away from those who share the terminal.
 *   anything else  (/dev/null) on a thread.
 */
#include "sink/writer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/weir.h>

#include "sink/file.h"

#define TEXT_KEPT   ((size_t)4 << 20) /* memory for a batch that is kept for the next */
#define FIFO_WAIT   (5 * WEIR_SEC)
#define FIFO_PERIOD (20 * WEIR_MSEC)
#define HEAD_WAIT   (5 * WEIR_SEC) /* for the head of a stream without rows, at the end */

struct sink {
	struct sink_file file; /* or another descriptor */
	int flags;             /* to be put back at the end; -1: nothing to put back */
	struct weir_io *io;    /* NULL: writes on a thread */
	bool regular;
	bool ready;
	char *head; /* NULL: none, or it is there */
	int (*add)(const void *arg, const struct value *output, struct buf *out, char why[200]);
	const void *arg;
	struct buf text;
};

/* What a thread does for the sink. */
struct job {
	struct sink *sink;
	struct sink_item *items;
	size_t n;
	const struct sink_writer_options *opts;
	struct weir_error *err;
	int result;
	bool done;
};

static int refuse(const struct sink *sink, struct weir_error *err, int code, const char *doing)
{
	return weir_error_set(err, code, "cannot %s %s: %s", doing, sink->file.name, weir_strerror(code));
}

/* What the thread has done is done, even if the fiber was cancelled meanwhile. */
static int call_thread(struct job *job, weir_offload_fn fn, const char *doing, weir_nsec deadline)
{
	int code = weir_offload(fn, job, deadline);
	return job->done ? job->result : refuse(job->sink, job->err, code, doing);
}

/* ---- opening */

/* A FIFO without a reader cannot be opened for writing without blocking. */
static int open_path(const char *path, int more_flags)
{
	const int flags = O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | more_flags;
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
static int open_copy(struct sink *sink, int fd, const struct stat *st)
{
	if (S_ISFIFO(st->st_mode) || isatty(fd))
		sink->file.fd = open(fd == STDERR_FILENO ? "/proc/self/fd/2" : "/proc/self/fd/1",
				     O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	if (sink->file.fd >= 0)
		return 0;
	sink->file.fd = fcntl(fd, F_DUPFD_CLOEXEC, 3);
	if (sink->file.fd < 0)
		return -errno;
	if (!S_ISREG(st->st_mode))
		sink->flags = fcntl(sink->file.fd, F_GETFL);
	return 0;
}

static int start_watching(struct sink *sink, struct weir_error *err)
{
	int code = weir_io_open(sink->file.fd, &sink->io);
	return code && code != -EPERM ? refuse(sink, err, code, "open") : 0;
}

/* A descriptor that stays the caller's, 1 or 2, from where it stands. */
static int open_standard(struct sink *sink, int fd, struct weir_error *err)
{
	struct stat st;
	sink->file.name = fd == STDERR_FILENO ? "the standard error" : "the standard output";
	int code = fstat(fd, &st) ? -errno : open_copy(sink, fd, &st);
	if (code)
		return refuse(sink, err, code, "open");
	sink->regular = S_ISREG(st.st_mode);
	return sink->regular ? 0 : start_watching(sink, err);
}

static int open_file_on_thread(void *arg)
{
	struct job *job = arg;
	struct sink *sink = job->sink;
	job->result = sink_file_open(&sink->file, job->opts->append, job->opts->env, job->err);
	if (!job->result && sink->head && !sink->file.empty) {
		int has_head = sink_file_begins_with(&sink->file, sink->head, job->err);
		if (has_head == 0)
			has_head = weir_error_set(job->err, WEIR_EINVAL,
						  "%.200s does not begin with the line \"%.*s\"; name another file, or "
						  "write without a header",
						  sink->file.name, (int)strcspn(sink->head, "\n"), sink->head);
		job->result = has_head < 0 ? has_head : 0;
		free(sink->head);
		sink->head = NULL;
	}
	job->done = true;
	return 0;
}

static int open_named(struct sink *sink, const struct sink_writer_options *opts, struct weir_error *err)
{
	struct job job = {.sink = sink, .opts = opts, .err = err};
	struct stat st = {.st_mode = S_IFREG};
	int fd = open_path(opts->path, opts->env->run ? 0 : O_CREAT | O_APPEND);
	bool missing = fd == -ENOENT && opts->env->run;
	if (fd < 0 && !missing)
		return refuse(sink, err, fd, "open");
	sink->file.fd = missing ? -1 : fd;
	if (!missing && fstat(fd, &st))
		return refuse(sink, err, -errno, "open");
	sink->regular = S_ISREG(st.st_mode);
	return sink->regular ? call_thread(&job, open_file_on_thread, "open", WEIR_FOREVER) : start_watching(sink, err);
}

int sink_writer_open(const struct sink_writer_options *opts, struct sink **ret_sink, struct weir_error *err)
{
	bool is_stdout = strcmp(opts->path, "/dev/stdout") == 0, is_stderr = strcmp(opts->path, "/dev/stderr") == 0;
	struct sink *sink = malloc(sizeof *sink);
	if (!sink) {
		free(opts->head);
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	}
	*sink = (struct sink){.file = {.name = opts->path, .fd = -1, .empty = true},
			      .flags = -1,
			      .head = opts->head,
			      .add = opts->add,
			      .arg = opts->arg};
	int code = is_stdout || is_stderr ? open_standard(sink, is_stdout ? STDOUT_FILENO : STDERR_FILENO, err)
					  : open_named(sink, opts, err);
	if (code) {
		sink_writer_close(sink, NULL);
		return code;
	}
	sink->ready = true;
	*ret_sink = sink;
	return 0;
}

bool sink_writer_exact(const struct sink *sink)
{
	return sink->file.exact;
}

void sink_writer_position(const struct sink *sink, struct buf *out)
{
	sink_file_position(&sink->file, out);
}

/* ---- the text of a batch */

/* Outputs are JSON; a line end in one can only be space between its tokens. */
static void blank_line_ends(char *text, size_t n)
{
	for (char *at = text; (at = memchr(at, '\n', (size_t)(text + n - at))) != NULL;)
		*at = ' ';
	for (char *at = text; (at = memchr(at, '\r', (size_t)(text + n - at))) != NULL;)
		*at = ' ';
}

static int add_line(const struct value *output, struct buf *text)
{
	size_t at = text->len;
	if (buf_add(text, output->data, output->len))
		return WEIR_ENOMEM;
	blank_line_ends(text->data + at, text->len - at);
	return buf_add_char(text, '\n');
}

/* All outputs of the item, or none: then the verdict says why. */
static int add_item(const struct sink *sink, struct sink_item *item, struct buf *text)
{
	const struct value_list *outputs = &item->item->outputs;
	size_t before = text->len;
	int code = 0;
	for (size_t i = 0; i < outputs->n && !code; i++)
		code = sink->add ? sink->add(sink->arg, &outputs->values[i], text, item->why)
				 : add_line(&outputs->values[i], text);
	item->verdict = code == WEIR_EDATA ? code : 0;
	if (code == WEIR_EDATA && text->data) {
		text->len = before;
		text->data[before] = 0;
	}
	return code == WEIR_EDATA ? 0 : code;
}

static int build_text(struct sink *sink, struct sink_item *items, size_t n)
{
	struct buf *text = &sink->text;
	int code = 0;
	buf_clear(text);
	if (sink->file.mid_line)
		buf_add_char(text, '\n');
	else if (sink->head)
		buf_add_str(text, sink->head);
	size_t before = text->len;
	for (size_t i = 0; i < n && !code; i++)
		code = add_item(sink, &items[i], text);
	if (text->len == before && n)
		buf_clear(text);
	return text->failed ? WEIR_ENOMEM : code;
}

/* ---- writing */

static int write_code(int code)
{
	return code == -EDQUOT ? WEIR_ENOSPC : code == -ECONNRESET ? WEIR_EPIPE : code;
}

static int write_device(struct sink *sink, struct weir_error *err)
{
	size_t done = 0;
	int code = 0;
	while (done < sink->text.len && !code) {
		ssize_t put = write(sink->file.fd, sink->text.data + done, sink->text.len - done);
		if (put >= 0)
			done += (size_t)put;
		else if (errno != EINTR)
			code = write_code(-errno);
	}
	sink->file.mid_line = code && (sink->file.mid_line || done);
	return code ? refuse(sink, err, code, "write") : 0;
}

static int write_on_thread(void *arg)
{
	struct job *job = arg;
	struct sink *sink = job->sink;
	job->result = build_text(sink, job->items, job->n);
	if (job->result)
		weir_error_set(job->err, job->result, "out of memory");
	else if (sink->text.len)
		job->result = sink->regular ? sink_file_write(&sink->file, sink->text.data, sink->text.len, job->err)
					    : write_device(sink, job->err);
	job->done = true;
	return 0;
}

static int write_stream(struct sink *sink, struct sink_item *items, size_t n, struct weir_error *err,
			weir_nsec deadline)
{
	if (weir_canceled())
		return weir_error_set(err, WEIR_ECANCELED, "cancelled");
	if (build_text(sink, items, n))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	int code = sink->text.len ? weir_io_write(sink->io, sink->text.data, sink->text.len, deadline) : 0;
	sink->file.mid_line = code < 0;
	return code < 0 ? refuse(sink, err, write_code(code), "write") : 0;
}

int sink_writer_write(struct sink *sink, struct sink_item *items, size_t n, struct weir_error *err, weir_nsec deadline)
{
	struct job job = {.sink = sink, .items = items, .n = n, .err = err};
	int code = sink->io ? write_stream(sink, items, n, err, deadline)
			    : call_thread(&job, write_on_thread, "write", deadline);
	if (!code && sink->text.len) {
		free(sink->head);
		sink->head = NULL;
	}
	if (sink->text.room > TEXT_KEPT)
		buf_fini(&sink->text);
	return code;
}

/* ---- closing */

/* Each batch was synced when it was written; without any there is still the head. */
int sink_writer_close(struct sink *sink, struct weir_error *err)
{
	int code = 0;
	if (sink->ready && sink->head) {
		weir_shield_enter();
		code = sink_writer_write(sink, NULL, 0, err, weir_after(HEAD_WAIT));
		weir_shield_leave();
	}
	weir_io_close(sink->io);
	if (sink->flags >= 0)
		fcntl(sink->file.fd, F_SETFL, sink->flags);
	sink_file_fini(&sink->file);
	free(sink->head);
	buf_fini(&sink->text);
	free(sink);
	return code == WEIR_EPIPE ? 0 : code;
}
