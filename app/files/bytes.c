/* SPDX-License-Identifier: MIT */
/*
 * A separate fiber waits for the thread that reads, for the caller may not have the time: then the read continues
 * without it, into the caller's room, and the next call finds what came of it.
 *
 *     file  --thread---------------------> room        pipe  --loop-----------------> room
 *     file  --thread--> raw --thread-----> room        pipe  --loop--> raw --thread-> room       if decoded
 *
 * A pipe's first bytes are looked at before anything of it is handed out; few of them may have to wait for more.
 */
#include "files/bytes.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "files/decode.h"

/* What a thread does. */
struct bytes_job {
	struct source_bytes *bytes;
	char *to;
	size_t room;
	ssize_t result;
	struct weir_error err;
	bool done;
};

struct source_bytes {
	struct source_file *file;
	struct weir_io *io;         /* NULL: reads on a thread */
	struct weir_group *working; /* the fiber of a job under way, or NULL */
	struct bytes_job job;
	uint64_t at;   /* in the file, behind what was read; the thread's while it works */
	uint64_t used; /* as of the last read that came back */
	enum codec codec;
	enum charset charset;
	struct source_decode *decode;  /* NULL: what is read is the text */
	bool known;                    /* whether there is a `decode` */
	char first[CODEC_MAGIC_BYTES]; /* of a pipe, before that is known */
	size_t first_bytes;
};

static int refuse(const struct source_bytes *bytes, struct weir_error *err, int code, const char *doing)
{
	return weir_error_set(err, code, "cannot %s %s: %s", doing, bytes->file->name, weir_strerror(code));
}

/* Regular files and devices such as /dev/null cannot be polled; then a thread reads. */
static int start_watching(struct source_bytes *bytes, struct weir_error *err)
{
	int code = bytes->file->regular ? 0 : weir_io_open(bytes->file->fd, &bytes->io);
	return code && code != -EPERM ? refuse(bytes, err, code, "open") : 0;
}

/* Decides how to read on, by the first bytes; last: there will not be more of them. */
static int start_decoding(struct source_bytes *bytes, const char *first, size_t n, bool last, struct weir_error *err)
{
	bool more;
	bytes->codec = codec_of_bytes(first, n, &more);
	if (more && !last)
		return 0;
	if ((bytes->codec || bytes->charset) &&
	    source_decode_new(bytes->codec, bytes->charset, bytes->file->begin, &bytes->decode))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	bytes->known = true;
	return 0;
}

int source_bytes_open(struct source_file *file, enum charset charset, struct source_bytes **ret_bytes,
		      struct weir_error *err)
{
	struct source_bytes *bytes = calloc(1, sizeof *bytes);
	if (!bytes)
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	bytes->file = file;
	bytes->charset = charset;
	bytes->at = bytes->used = file->begin;
	int code = start_watching(bytes, err);
	if (!code && !bytes->io)
		code = start_decoding(bytes, file->first, file->first_bytes, true, err);
	if (code) {
		source_bytes_close(bytes);
		return code;
	}
	*ret_bytes = bytes;
	return 0;
}

/* Waits for a job under way and forgets what it brought. */
static void drop_job(struct source_bytes *bytes)
{
	if (!bytes->working)
		return;
	weir_shield_enter();
	weir_group_wait(bytes->working, WEIR_FOREVER);
	weir_shield_leave();
	weir_group_free(bytes->working);
	bytes->working = NULL;
}

void source_bytes_close(struct source_bytes *bytes)
{
	if (!bytes)
		return;
	drop_job(bytes);
	weir_io_close(bytes->io);
	source_decode_free(bytes->decode);
	free(bytes);
}

/* ---- on a thread */

/* A file that ends before the place that was reached has been cut; what was behind it may never have been read. */
static int check_end(const struct source_bytes *bytes, struct weir_error *err)
{
	struct stat st;
	if (fstat(bytes->file->fd, &st) || !S_ISREG(st.st_mode) || (uint64_t)st.st_size >= bytes->at)
		return 0;
	return weir_error_set(err, WEIR_EIO,
			      "%s was truncated while it was read: it has %" PRId64
			      " bytes, and weir had read up to byte %" PRIu64 "; restore the file and run again",
			      bytes->file->name, (int64_t)st.st_size, bytes->at);
}

static ssize_t read_some(struct source_bytes *bytes, char *to, size_t room, struct weir_error *err)
{
	ssize_t n;
	do
		n = read(bytes->file->fd, to, room);
	while (n < 0 && errno == EINTR);
	if (n < 0)
		return refuse(bytes, err, -errno, "read");
	bytes->at += (uint64_t)n;
	return n ? n : check_end(bytes, err);
}

/* Text, from raw bytes that are here or, of a file, can be read here; 0 at the end, and when a pipe has to bring more.
 */
static ssize_t decode_some(struct source_bytes *bytes, char *to, size_t room, struct weir_error *err)
{
	for (;;) {
		struct weir_error why = {0};
		ssize_t n = source_decode(bytes->decode, to, room, &why);
		if (n < 0)
			return weir_error_set(err, (int)n, "cannot read %s: %s", bytes->file->name, why.text);
		if (n > 0 || bytes->io || source_decode_ended(bytes->decode))
			return n;
		size_t raw_room;
		char *raw = source_decode_room(bytes->decode, &raw_room);
		n = read_some(bytes, raw, raw_room, err);
		if (n < 0)
			return n;
		source_decode_feed(bytes->decode, (size_t)n);
	}
}

static int work_on_thread(void *arg)
{
	struct bytes_job *job = arg;
	job->result = job->bytes->decode ? decode_some(job->bytes, job->to, job->room, &job->err)
					 : read_some(job->bytes, job->to, job->room, &job->err);
	job->done = true;
	return 0;
}

/* ---- on the fiber */

static int work_on_fiber(void *arg)
{
	return weir_offload(work_on_thread, arg, WEIR_FOREVER);
}

static int start_job(struct source_bytes *bytes, char *to, size_t room)
{
	static const struct weir_group_options collect = {.flags = WEIR_GROUP_COLLECT};
	static const struct weir_spawn_options name = {.name = "read"};
	bytes->job = (struct bytes_job){.bytes = bytes, .to = to, .room = room};
	int code = weir_group_new(&collect, &bytes->working);
	if (code)
		return code;
	code = weir_group_spawn_with(bytes->working, &name, work_on_fiber, &bytes->job, WEIR_FOREVER);
	if (code) {
		weir_group_free(bytes->working);
		bytes->working = NULL;
	}
	return code;
}

/* A cancel waits for the thread, too; what was read is kept, for the file's position has moved. */
static ssize_t read_on_thread(struct source_bytes *bytes, char *to, size_t room, struct weir_error *err,
			      weir_nsec deadline)
{
	int code = bytes->working ? 0 : start_job(bytes, to, room);
	if (!code)
		code = weir_group_wait(bytes->working, deadline);
	if (!bytes->working || weir_group_alive(bytes->working))
		return refuse(bytes, err, code, "read");
	weir_group_free(bytes->working);
	bytes->working = NULL;
	if (!bytes->job.done)
		return refuse(bytes, err, code, "read");
	bytes->used = bytes->decode ? bytes->file->begin + source_decode_used(bytes->decode) : bytes->at;
	if (bytes->job.result < 0 && err)
		*err = bytes->job.err;
	return bytes->job.result;
}

/* A pipe may never make the reader wait; so others get their turn. */
static ssize_t poll_some(struct source_bytes *bytes, char *to, size_t room, struct weir_error *err, weir_nsec deadline)
{
	int code = bytes->file->unconnected ? weir_io_wait(bytes->io, WEIR_READABLE, deadline) : weir_yield();
	if (code < 0)
		return refuse(bytes, err, code, "read");
	bytes->file->unconnected = false;
	ssize_t n = weir_io_read(bytes->io, to, room, deadline);
	return n < 0 ? refuse(bytes, err, (int)n, "read") : n;
}

/* The beginning of a pipe: at `to`, or in `decode`; 0: either it is in there, or the pipe has ended. */
static ssize_t begin_stream(struct source_bytes *bytes, char *to, size_t room, struct weir_error *err,
			    weir_nsec deadline)
{
	while (!bytes->known) {
		size_t n = bytes->first_bytes, raw_room;
		ssize_t more = poll_some(bytes, to + n, room - n, err, deadline);
		if (more < 0)
			return more;
		memcpy(to, bytes->first, n);
		n += (size_t)more;
		int code = start_decoding(bytes, to, n, !more, err);
		if (code)
			return code;
		if (bytes->decode) {
			memcpy(source_decode_room(bytes->decode, &raw_room), to, n);
			source_decode_feed(bytes->decode, n);
			return 0;
		}
		if (bytes->known)
			return (ssize_t)n;
		memcpy(bytes->first, to, n);
		bytes->first_bytes = n;
	}
	return 0;
}

static ssize_t decode_stream(struct source_bytes *bytes, char *to, size_t room, struct weir_error *err,
			     weir_nsec deadline)
{
	for (;;) {
		ssize_t n = read_on_thread(bytes, to, room, err, deadline);
		if (n || source_decode_ended(bytes->decode))
			return n;
		size_t raw_room;
		char *raw = source_decode_room(bytes->decode, &raw_room);
		n = poll_some(bytes, raw, raw_room, err, deadline);
		if (n < 0)
			return n;
		source_decode_feed(bytes->decode, (size_t)n);
	}
}

ssize_t source_bytes_read(struct source_bytes *bytes, char *to, size_t room, struct weir_error *err, weir_nsec deadline)
{
	if (!bytes->io)
		return read_on_thread(bytes, to, room, err, deadline);
	if (!bytes->known) {
		ssize_t n = begin_stream(bytes, to, room, err, deadline);
		if (n || !bytes->decode)
			return n;
	}
	return bytes->decode ? decode_stream(bytes, to, room, err, deadline)
			     : poll_some(bytes, to, room, err, deadline);
}

bool source_bytes_busy(const struct source_bytes *bytes)
{
	return bytes->working;
}

int source_bytes_goto(struct source_bytes *bytes, uint64_t offset, uint64_t *ret_offset, struct weir_error *err)
{
	uint64_t at = bytes->decode ? bytes->file->begin : offset;
	struct source_decode *decode = NULL;
	drop_job(bytes);
	if (bytes->decode && source_decode_new(bytes->codec, bytes->charset, at, &decode))
		return weir_error_set(err, WEIR_ENOMEM, "out of memory");
	source_decode_free(bytes->decode);
	bytes->decode = decode;
	if (lseek(bytes->file->fd, (off_t)at, SEEK_SET) < 0)
		return refuse(bytes, err, -errno, "read");
	bytes->at = bytes->used = at;
	*ret_offset = decode ? 0 : at;
	return 0;
}

uint64_t source_bytes_used(const struct source_bytes *bytes)
{
	return bytes->used - bytes->file->begin;
}

bool source_bytes_decoded(const struct source_bytes *bytes)
{
	return bytes->decode;
}
