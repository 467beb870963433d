/* SPDX-License-Identifier: MIT */
/*
 * A batch becomes one text, and the text goes out in one write where the system takes it at once.
 *
 *   regular file   on a thread: written, then synced (files/output.h)
 *   what polls     on the loop, without blocking: a reader that sleeps stops this fiber and nothing else.  As in
 *                  files/bytes.c a description of its own keeps O_NONBLOCK away from those who share the terminal.
 *   anything else  (/dev/null) on a thread.
 */
#include "files/writer.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weir/weir.h>

#include "files/compress.h"
#include "files/output.h"

#define TEXT_KEPT   ((size_t)4 << 20) /* memory for a batch that is kept for the next */
#define FIFO_WAIT   (5 * WEIR_SEC)
#define FIFO_PERIOD (20 * WEIR_MSEC)
#define HEAD_WAIT   (5 * WEIR_SEC) /* for the head of a stream without rows, at the end */

struct file_sink {
	struct sink_file file; /* or another descriptor */
	int flags;             /* to be put back at the end; -1: nothing to put back */
	struct weir_io *io;    /* NULL: writes on a thread */
	bool regular;          /* or no file yet */
	bool named;            /* not the standard output or error */
	bool terminal;         /* what is in the text must not act on it */
	bool ready;
	char *head; /* NULL: none, or it is there */
	int (*add)(const void *arg, const struct value *output, struct buf *out, char why[200]);
	const void *arg;
	enum codec codec;
	bool mid_line; /* packed: what is there does not end a line */
	struct buf text, spare;
};

/* What a thread does for the sink. */
struct writer_job {
	struct file_sink *sink;
	struct sink_item *items;
	size_t n;
	const struct sink_writer_options *opts;
	struct weir_error *err;
	int (*work)(struct writer_job *job);
	int result; /* of that, */
	bool done;  /* once it has run */
};

static int refuse(const struct file_sink *sink, struct weir_error *err, int code, const char *doing)
{
	return weir_error_set(err, code, "cannot %s %s: %s", doing, sink->file.name, weir_strerror(code));
}

static int run_job(void *arg)
{
	struct writer_job *job = arg;
	job->result = job->work(job);
	job->done = true;
	return 0;
}

/* What the thread has done is done, even if the fiber was cancelled meanwhile. */
static int call_thread(struct writer_job *job, int (*work)(struct writer_job *job), const char *doing,
		       weir_nsec deadline)
{
	job->work = work;
	int code = weir_offload(run_job, job, deadline);
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
static int open_copy(struct file_sink *sink, int fd, const struct stat *st)
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

static int start_watching(struct file_sink *sink, struct weir_error *err)
{
	int code = weir_io_open(sink->file.fd, &sink->io);
	return code && code != -EPERM ? refuse(sink, err, code, "open") : 0;
}

/* A descriptor that stays the caller's, 1 or 2, from where it stands. */
static int open_standard(struct file_sink *sink, int fd, struct weir_error *err)
{
	struct stat st;
	sink->file.name = fd == STDERR_FILENO ? "the standard error" : "the standard output";
	int code = fstat(fd, &st) ? -errno : open_copy(sink, fd, &st);
	if (code)
		return refuse(sink, err, code, "open");
	sink->regular = S_ISREG(st.st_mode);
	return sink->regular ? 0 : start_watching(sink, err);
}

/* Of a packed file its text counts.  Only behind rows that are not this run's it may end in the middle of a line. */
static int look_at_text(struct file_sink *sink, struct weir_error *err)
{
	struct sink_packed packed;
	if (!sink->codec)
		return sink->head ? sink_file_begins_with(&sink->file, sink->head, err) : 1;
	int code = sink_compress_look(&sink->file, sink->codec, sink->head, sink->file.foreign, &packed, err);
	if (code)
		return code;
	sink->file.empty = packed.empty;
	sink->mid_line = packed.mid_line;
	return packed.has_head;
}

static int check_text(struct file_sink *sink, struct weir_error *err)
{
	int has_head = look_at_text(sink, err);
	if (has_head < 0 || sink->file.empty)
		return has_head < 0 ? has_head : 0;
	if (!has_head)
		return weir_error_set(
			err, WEIR_EINVAL,
			"%.200s does not begin with the line \"%.*s\"; name another file, or write without a header",
			sink->file.name, (int)strcspn(sink->head, "\n"), sink->head);
	free(sink->head);
	sink->head = NULL;
	return 0;
}

/* The head, as it stands in the file, into sink->text. */
static int build_head(struct file_sink *sink, struct weir_error *err)
{
	buf_clear(&sink->text);
	buf_add_str(&sink->text, sink->head);
	bool packed = !sink->codec || !sink_compress_text(sink->codec, &sink->text, &sink->spare);
	return sink->text.failed || !packed ? weir_error_set(err, WEIR_ENOMEM, "out of memory") : 0;
}

static int open_file(struct file_sink *sink, const struct sink_writer_options *opts, struct weir_error *err)
{
	struct value head = {0};
	int code = sink->head ? build_head(sink, err) : 0;
	if (code)
		return code;
	if (sink->head)
		head = (struct value){sink->text.data, sink->text.len};
	return sink_file_open(&sink->file, opts->on_start, &head, opts->env, err);
}

static int open_file_on_thread(struct writer_job *job)
{
	int code = open_file(job->sink, job->opts, job->err);
	return code || job->sink->file.empty ? code : check_text(job->sink, job->err);
}

/* Half a member that a killed process has left would make all behind it unreadable. */
static int refuse_packed(const struct file_sink *sink, struct weir_error *err)
{
	return weir_error_set(err, WEIR_EINVAL,
			      "%.200s is compressed, and with this broker several processes may write it, one of which "
			      "may be killed; write a file without .gz or .zst, and compress it afterwards",
			      sink->file.name);
}

static int open_named(struct file_sink *sink, const struct sink_writer_options *opts, struct weir_error *err)
{
	struct writer_job job = {.sink = sink, .opts = opts, .err = err};
	struct stat st = {.st_mode = S_IFREG};
	int fd = open_path(opts->path, sink_file_is_exact(opts->env) ? 0 : O_APPEND);
	bool missing = fd == -ENOENT;
	if (fd < 0 && !missing)
		return refuse(sink, err, fd, "open");
	sink->file.fd = missing ? -1 : fd;
	if (!missing && fstat(fd, &st))
		return refuse(sink, err, -errno, "open");
	sink->regular = S_ISREG(st.st_mode);
	if (sink->regular && sink->codec && opts->env->shared)
		return refuse_packed(sink, err);
	return sink->regular ? call_thread(&job, open_file_on_thread, "open", WEIR_FOREVER) : start_watching(sink, err);
}

int sink_writer_open(const struct sink_writer_options *opts, struct sink **ret_sink, struct weir_error *err)
{
	bool is_stdout = strcmp(opts->path, "/dev/stdout") == 0, is_stderr = strcmp(opts->path, "/dev/stderr") == 0;
	struct file_sink *sink = malloc(sizeof *sink);
	if (!sink) {
		free(opts->head);
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	}
	*sink = (struct file_sink){.file = {.name = opts->path, .fd = -1, .empty = true},
				   .flags = -1,
				   .head = opts->head,
				   .codec = codec_of_path(opts->path),
				   .add = opts->add,
				   .arg = opts->arg};
	int code = is_stdout || is_stderr ? open_standard(sink, is_stdout ? STDOUT_FILENO : STDERR_FILENO, err)
					  : open_named(sink, opts, err);
	if (code) {
		sink_writer_close((struct sink *)sink, NULL);
		return code;
	}
	sink->named = !is_stdout && !is_stderr;
	sink->terminal = isatty(sink->file.fd);
	*ret_sink = (struct sink *)sink;
	return 0;
}

/* The head of a file is there from the beginning, so that the position says so. */
static int write_head(struct file_sink *sink, struct weir_error *err)
{
	int code = build_head(sink, err);
	if (!code)
		code = sink_file_write_head(&sink->file, &(struct value){sink->text.data, sink->text.len}, err);
	free(sink->head);
	sink->head = NULL;
	return code;
}

static int start_file_on_thread(struct writer_job *job)
{
	struct file_sink *sink = job->sink;
	int code = sink_file_start(&sink->file, job->err);
	if (sink->codec)
		sink->file.mid_line = sink->mid_line;
	return !code && sink->head ? write_head(sink, job->err) : code;
}

int sink_writer_start(struct sink *handle, struct weir_error *err)
{
	struct file_sink *sink = (struct file_sink *)handle;
	struct writer_job job = {.sink = sink, .err = err};
	int code = sink->regular && sink->named ? call_thread(&job, start_file_on_thread, "open", WEIR_FOREVER) : 0;
	sink->ready = !code;
	return code;
}

enum sink_exactness sink_writer_exactness(const struct sink *handle)
{
	const struct file_sink *sink = (const struct file_sink *)handle;
	return sink->file.exact ? SINK_BY_POSITION : SINK_REPEATS;
}

void sink_writer_position(const struct sink *handle, struct buf *out)
{
	const struct file_sink *sink = (const struct file_sink *)handle;
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
static int add_item(const struct file_sink *sink, struct sink_item *item, struct buf *text)
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

static void make_visible(struct buf *text)
{
	struct buf visible = {0};
	buf_add_visible(&visible, text->data, text->len, true);
	buf_fini(text);
	*text = visible;
}

static int build_text(struct file_sink *sink, struct sink_item *items, size_t n)
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
	if (!code && sink->terminal)
		make_visible(text);
	return text->failed ? WEIR_ENOMEM : code;
}

static int prepare(struct file_sink *sink, struct sink_item *items, size_t n)
{
	int code = build_text(sink, items, n);
	return code || !sink->codec || !sink->text.len ? code
						       : sink_compress_text(sink->codec, &sink->text, &sink->spare);
}

static int prepare_on_thread(struct writer_job *job)
{
	return prepare(job->sink, job->items, job->n);
}

/* ---- writing */

static int write_code(int code)
{
	return code == -EDQUOT ? WEIR_ENOSPC : code == -ECONNRESET ? WEIR_EPIPE : code;
}

static int write_device(struct file_sink *sink, struct weir_error *err)
{
	size_t done;
	int code = sink_write_all(sink->file.fd, sink->text.data, sink->text.len, -1, &done);
	sink->file.mid_line = code && (sink->file.mid_line || done);
	return code ? refuse(sink, err, write_code(code), "write") : 0;
}

static int write_on_thread(struct writer_job *job)
{
	struct file_sink *sink = job->sink;
	int code = prepare(sink, job->items, job->n);
	if (code)
		return weir_error_set(job->err, code, "out of memory");
	if (!sink->text.len)
		return 0;
	return sink->regular ? sink_file_write(&sink->file, sink->text.data, sink->text.len, job->err)
			     : write_device(sink, job->err);
}

static int write_stream(struct writer_job *job, weir_nsec deadline)
{
	struct file_sink *sink = job->sink;
	struct weir_error *err = job->err;
	if (weir_canceled())
		return weir_error_set(err, WEIR_ECANCELED, "cancelled");
	int code = sink->codec ? call_thread(job, prepare_on_thread, "write", deadline)
			       : prepare(sink, job->items, job->n);
	if (code)
		return code == WEIR_ENOMEM ? weir_error_set(err, code, "out of memory") : code;
	code = sink->text.len ? weir_io_write(sink->io, sink->text.data, sink->text.len, deadline) : 0;
	sink->file.mid_line = code < 0;
	return code < 0 ? refuse(sink, err, write_code(code), "write") : 0;
}

int sink_writer_write(struct sink *handle, struct sink_item *items, size_t n, struct weir_error *err,
		      weir_nsec deadline)
{
	struct file_sink *sink = (struct file_sink *)handle;
	struct writer_job job = {.sink = sink, .items = items, .n = n, .err = err};
	int code = sink->io ? write_stream(&job, deadline) : call_thread(&job, write_on_thread, "write", deadline);
	if (!code && sink->text.len) {
		free(sink->head);
		sink->head = NULL;
	}
	if (sink->text.room > TEXT_KEPT)
		buf_fini(&sink->text);
	if (sink->spare.room > TEXT_KEPT)
		buf_fini(&sink->spare);
	return code;
}

/* ---- closing */

/* Each batch was synced when it was written; of a stream without any there is still the head. */
int sink_writer_close(struct sink *handle, struct weir_error *err)
{
	struct file_sink *sink = (struct file_sink *)handle;
	int code = 0;
	if (sink->ready && sink->head) {
		weir_shield_enter();
		code = sink_writer_write(handle, NULL, 0, err, weir_after(HEAD_WAIT));
		weir_shield_leave();
	}
	weir_io_close(sink->io);
	if (sink->flags >= 0)
		fcntl(sink->file.fd, F_SETFL, sink->flags);
	sink_file_fini(&sink->file);
	free(sink->head);
	buf_fini(&sink->text);
	buf_fini(&sink->spare);
	free(sink);
	return code == WEIR_EPIPE ? 0 : code;
}
