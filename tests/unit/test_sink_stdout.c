/* SPDX-License-Identifier: MIT */
#include "unit/sinks.h"

#include <signal.h>
#include <sys/socket.h>

static struct sink *open_stdout(int fd)
{
	fflush(stdout);
	ck_assert_int_eq(dup2(fd, STDOUT_FILENO), STDOUT_FILENO);
	return open_sink(&sink_stdout_adapter, keep(calloc(1, sink_stdout_adapter.config_bytes)));
}

struct slow_reader {
	int fd;
	size_t bytes, expected;
	unsigned turns; /* of the loop, while the writer waits */
};

static int read_slowly(void *arg)
{
	struct slow_reader *reader = arg;
	static char chunk[30000];
	for (; reader->turns < 5; reader->turns++)
		weir_sleep(WEIR_MSEC);
	while (reader->bytes < reader->expected) {
		ssize_t n = read(reader->fd, chunk, sizeof chunk);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return WEIR_EIO;
		reader->bytes += n > 0 ? (size_t)n : 0;
		weir_yield();
	}
	return 0;
}

/* More than a pipe or a socket holds, to a reader on the same loop: whoever blocks here never ends. */
static void expect_patience(int reader_fd, int writer_fd)
{
	const size_t line = 4000, lines = 500;
	struct slow_reader reader = {.fd = reader_fd, .expected = lines * (line + 1)};
	struct batch batch = {0};
	struct weir_group *group;
	char *text = malloc(line + 1);
	memset(text, '7', line);
	text[line] = 0;
	struct sink *sink = open_stdout(writer_fd);
	for (size_t i = 0; i < lines; i++)
		add(&batch, text, NULL);
	ck_assert_int_eq(weir_group_new(NULL, &group), 0);
	fcntl(reader_fd, F_SETFL, O_NONBLOCK);
	ck_assert_int_eq(weir_group_spawn(group, read_slowly, &reader, WEIR_FOREVER), 0);
	write_all(&sink_stdout_adapter, sink, &batch);
	ck_assert_uint_eq(reader.turns, 5);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	close_sink(&sink_stdout_adapter, sink);
	ck_assert_int_eq(fcntl(writer_fd, F_GETFL) & O_NONBLOCK, 0);
	weir_group_free(group);
	free(text);
}

LOOP_TEST(stdout_waits_for_a_slow_pipe_without_holding_the_loop)
{
	int fds[2];
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	expect_patience(fds[0], fds[1]);
	close(fds[0]);
	close(fds[1]);
}

LOOP_TEST(stdout_waits_for_a_slow_socket_without_holding_the_loop)
{
	int fds[2];
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
	expect_patience(fds[0], fds[1]);
	close(fds[0]);
	close(fds[1]);
}

LOOP_TEST(stdout_says_that_the_reader_has_gone)
{
	struct batch batch = {0};
	int fds[2];
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe2(fds, O_CLOEXEC), 0);
	struct sink *sink = open_stdout(fds[1]);
	close(fds[0]);
	add(&batch, "1", NULL);
	ck_assert_int_eq(write_code(&sink_stdout_adapter, sink, &batch), WEIR_EPIPE);
	close_sink(&sink_stdout_adapter, sink);
	sink = open_stdout(fds[1]); /* cannot be opened anew any more: the shared one will do */
	ck_assert_int_eq(write_code(&sink_stdout_adapter, sink, &batch), WEIR_EPIPE);
	close_sink(&sink_stdout_adapter, sink);
	ck_assert_int_eq(fcntl(fds[1], F_GETFL) & O_NONBLOCK, 0);
	drop(&batch);
	close(fds[1]);
}

LOOP_TEST(stdout_goes_on_where_a_file_stands)
{
	struct batch batch = {0};
	const char *path = test_write_file("out", "header\n");
	int fd = open(path, O_WRONLY | O_CLOEXEC);
	ck_assert_int_eq(lseek(fd, 0, SEEK_END), 7);
	struct sink *sink = open_stdout(fd);
	add(&batch, "1", NULL);
	write_all(&sink_stdout_adapter, sink, &batch);
	close_sink(&sink_stdout_adapter, sink);
	sink = open_jsonl("/dev/stdout", REPLACE);
	add(&batch, "2", NULL);
	write_all(&sink_jsonl_adapter, sink, &batch);
	close_sink(&sink_jsonl_adapter, sink);
	ck_assert_int_eq(write(fd, "footer\n", 7), 7);
	ck_assert_str_eq(content_of(path), "header\n1\n2\nfooter\n");
	close(fd);
}
