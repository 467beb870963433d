/* SPDX-License-Identifier: MIT */
/*
 * A program that runs once, to its end.
 *
 * Output and complaints are read by a fiber each, so that neither fills up and stops the program while the other is
 * waited for.  Both end with the program, or with the last process that it has left behind, but for one that lives on:
 * the time limit ends that, too.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>
#include <weir/group.h>

#include "sync/subprocess.h"

#define GRACE WEIR_SEC

enum { PIECE_BYTES = 4096, COMPLAINT_MOST = 4096 };

/* What comes from one descriptor. */
struct child_stream {
	struct weir_io *io;
	size_t most;
	bool cuts; /* what is more is dropped; else it is an error */
	char *text;
	size_t n, room;
};

struct child_run {
	struct weir__subprocess process;
	int fd; /* of its complaints */
	struct child_stream output, complaint;
};

static int make_room(struct child_stream *reading)
{
	if (reading->room - reading->n > PIECE_BYTES)
		return 0;
	size_t room = 2 * reading->room > PIECE_BYTES ? 2 * reading->room : 2 * (size_t)PIECE_BYTES;
	char *text = realloc(reading->text, room);
	if (!text)
		return WEIR_ENOMEM;
	reading->text = text;
	reading->room = room;
	return 0;
}

static int read_all(void *arg)
{
	struct child_stream *reading = arg;
	for (;;) {
		if (make_room(reading))
			return WEIR_ENOMEM;
		ssize_t n = weir_io_read(reading->io, reading->text + reading->n, PIECE_BYTES, WEIR_FOREVER);
		if (n == 0)
			break;
		if (n < 0)
			return (int)n;
		reading->n += (size_t)n;
		if (reading->n > reading->most && !reading->cuts)
			return -EFBIG;
		if (reading->n > reading->most)
			reading->n = reading->most;
	}
	reading->text[reading->n] = 0;
	return 0;
}

static int start(const struct weir_child_options *opts, struct child_run *run)
{
	int pair[2];
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return -errno;
	int code = fcntl(pair[0], F_SETFL, O_NONBLOCK) ? -errno : weir_io_open(pair[0], &run->complaint.io);
	if (!code)
		code = weir__subprocess_start(opts, pair[1], &run->process);
	close(pair[1]);
	run->fd = pair[0];
	run->output.io = run->process.io;
	return code;
}

static struct weir__end end(struct child_run *run, int code)
{
	struct weir__end end = {.exit_code = -1};
	weir_shield_enter();
	if (run->process.pid)
		end = weir__subprocess_end(&run->process, code ? 0 : GRACE);
	weir_shield_leave();
	weir_io_close(run->complaint.io);
	if (run->fd >= 0)
		close(run->fd);
	return end;
}

int weir_child_run(const struct weir_child_options *opts, struct weir_child_end *ret_end, weir_nsec deadline)
{
	weir_nsec limit = weir_after(opts->time_limit);
	struct child_run run = {.fd = -1,
				.output = {.most = opts->answer_bytes ? opts->answer_bytes : (size_t)16 << 20},
				.complaint = {.most = COMPLAINT_MOST, .cuts = true}};
	const struct weir_group_part parts[] = {{.fn = read_all, .arg = &run.output},
						{.fn = read_all, .arg = &run.complaint}};
	if (limit == WEIR_FOREVER || (deadline != WEIR_FOREVER && deadline < limit))
		limit = deadline;
	int code = start(opts, &run);
	if (!code)
		code = weir_group_run(parts, sizeof parts / sizeof *parts, limit);
	struct weir__end ended = end(&run, code);
	if (code) {
		free(run.output.text);
		free(run.complaint.text);
		return code;
	}
	*ret_end = (struct weir_child_end){.output = run.output.text,
					   .output_bytes = run.output.n,
					   .complaint = run.complaint.text,
					   .complaint_bytes = run.complaint.n,
					   .exit_code = ended.exit_code,
					   .signal = ended.signal};
	return 0;
}
