/* SPDX-License-Identifier: MIT */
/* Waiting on descriptors. */
#include "unit/fibers.h"

#include "unit/death.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <weir/event.h>
#include <weir/group.h>
#include <weir/io.h>
#include <weir/offload.h>
#include <weir/random.h>
#include <weir/signal.h>

/* Two ends that are connected: [0] is watched by io, [1] is the peer's. */
struct ends {
	int fds[2];
	struct weir_io *io;
};

static void open_socket(struct ends *ends)
{
	ck_assert_int_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends->fds), 0);
	ck_assert_int_eq(weir_io_open(ends->fds[0], &ends->io), 0);
}

static void open_pipe(struct ends *ends)
{
	ck_assert_int_eq(pipe2(ends->fds, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_eq(weir_io_open(ends->fds[0], &ends->io), 0);
}

static void close_ends(struct ends *ends)
{
	weir_io_close(ends->io);
	close(ends->fds[0]);
	if (ends->fds[1] >= 0)
		close(ends->fds[1]);
}

static void put_bytes(struct ends *ends, const char *text)
{
	ck_assert_int_eq(write(ends->fds[1], text, strlen(text)), (int)strlen(text));
}

/* Fills what the system buffers, so that fds[0] is not writable. */
static void fill(struct ends *ends)
{
	static const char block[65536];
	while (write(ends->fds[0], block, sizeof block) > 0)
		;
}

static void drain(struct ends *ends)
{
	static char block[65536];
	while (read(ends->fds[1], block, sizeof block) > 0)
		;
}

/* One wait or read of a fiber, and how it ended. */
struct wait {
	struct weir_io *io;
	unsigned events;
	weir_nsec deadline;
	int answer;
	char text[32];
};

static int wait_fiber(void *arg)
{
	struct wait *self = arg;
	self->answer = UNANSWERED;
	self->answer = weir_io_wait(self->io, self->events, self->deadline ? self->deadline : WEIR_FOREVER);
	return 0;
}

static int read_fiber(void *arg)
{
	struct wait *self = arg;
	self->answer = UNANSWERED;
	self->answer = (int)weir_io_read(self->io, self->text, sizeof self->text - 1, WEIR_FOREVER);
	return 0;
}

static void wait_for_answer(const struct wait *wait)
{
	while (wait->answer == UNANSWERED)
		weir_sleep(WEIR_MSEC / 10);
}

/* ---- reading and writing */

LOOP_TEST(io_reads_what_there_is_and_waits_for_more)
{
	struct ends ends;
	struct wait read = {0};
	open_socket(&ends);
	put_bytes(&ends, "abc");
	ck_assert_int_eq(weir_io_read(ends.io, read.text, 2, WEIR_TRY), 2);
	ck_assert_int_eq(weir_io_read(ends.io, read.text, 9, WEIR_TRY), 1);
	ck_assert_int_eq(weir_io_read(ends.io, read.text, 9, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(weir_io_read(ends.io, read.text, 9, weir_after(2 * WEIR_MSEC)), WEIR_ETIMEDOUT);
	struct weir_group *group = new_group();
	read.io = ends.io;
	spawn(group, read_fiber, &read);
	weir_sleep(WEIR_MSEC);
	ck_assert_int_eq(read.answer, UNANSWERED);
	put_bytes(&ends, "defg");
	finish(group);
	ck_assert_int_eq(read.answer, 4);
	ck_assert_str_eq(read.text, "defg");
	close_ends(&ends);
}

LOOP_TEST(io_end_of_file_is_0_for_sockets_and_pipes)
{
	for (int i = 0; i < 2; i++) {
		struct ends ends;
		char c;
		if (i)
			open_pipe(&ends);
		else
			open_socket(&ends);
		struct wait read = {.io = ends.io};
		struct weir_group *group = new_group();
		spawn(group, read_fiber, &read);
		weir_sleep(WEIR_MSEC);
		close(ends.fds[1]);
		ends.fds[1] = -1;
		finish(group);
		ck_assert_int_eq(read.answer, 0);
		ck_assert_int_eq(weir_io_read(ends.io, &c, 1, WEIR_TRY), 0);
		close_ends(&ends);
	}
}

static int write_much(void *arg)
{
	struct ends *ends = arg;
	static char block[300000];
	for (size_t i = 0; i < sizeof block; i++)
		block[i] = (char)(i % 251);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(weir_io_write(ends->io, block, sizeof block, WEIR_FOREVER), 0);
	return 0;
}

LOOP_TEST(io_writes_all_also_more_than_the_system_takes)
{
	struct ends ends;
	struct weir_io *peer;
	open_socket(&ends);
	ck_assert_int_eq(weir_io_open(ends.fds[1], &peer), 0);
	struct weir_group *group = new_group();
	spawn(group, write_much, &ends);
	for (size_t total = 0; total < 1500000;) {
		unsigned char part[7777];
		ssize_t n = weir_io_read(peer, part, sizeof part, WEIR_FOREVER);
		ck_assert_int_gt(n, 0);
		for (ssize_t i = 0; i < n; i++)
			quick_assert(part[i] == (unsigned char)((total + (size_t)i) % 300000 % 251));
		total += (size_t)n;
	}
	finish(group);
	weir_io_close(peer);
	close_ends(&ends);
}

LOOP_TEST(io_write_has_a_deadline)
{
	struct ends ends;
	open_socket(&ends);
	fill(&ends);
	ck_assert_int_eq(weir_io_write(ends.io, "x", 1, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(weir_io_write(ends.io, "x", 1, weir_after(2 * WEIR_MSEC)), WEIR_ETIMEDOUT);
	close_ends(&ends);
}

LOOP_TEST(io_write_to_a_socket_that_is_gone_raises_no_signal)
{
	struct ends ends;
	open_socket(&ends);
	close(ends.fds[1]);
	ends.fds[1] = -1;
	ck_assert_int_eq(weir_io_write(ends.io, "x", 1, WEIR_FOREVER), WEIR_EPIPE);
	close_ends(&ends);
}

struct writing {
	struct weir_io *io;
	int answer;
};

static int write_fiber(void *arg)
{
	struct writing *self = arg;
	self->answer = UNANSWERED;
	self->answer = weir_io_write(self->io, "x", 1, WEIR_FOREVER);
	return 0;
}

/* The writing end of a pipe whose reader goes away: epoll knows only an error. */
LOOP_TEST(io_error_of_the_descriptor_wakes_the_writer)
{
	int fds[2];
	struct writing writing;
	signal(SIGPIPE, SIG_IGN);
	ck_assert_int_eq(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	ck_assert_int_eq(weir_io_open(fds[1], &writing.io), 0);
	while (write(fds[1], "0123456789abcdef", 16) > 0)
		;
	while (write(fds[1], "0", 1) > 0)
		;
	struct weir_group *group = new_group();
	spawn(group, write_fiber, &writing);
	weir_sleep(WEIR_MSEC);
	ck_assert_int_eq(writing.answer, UNANSWERED);
	close(fds[0]);
	finish(group);
	ck_assert_int_eq(writing.answer, WEIR_EPIPE);
	weir_io_close(writing.io);
	close(fds[1]);
	signal(SIGPIPE, SIG_DFL);
}

LOOP_TEST(io_open_says_what_cannot_be_watched)
{
	struct weir_io *io;
	int file = open(test_write_file("plain", "x"), O_RDONLY | O_CLOEXEC);
	ck_assert_int_eq(weir_io_open(file, &io), -EPERM);
	close(file);
	ck_assert_int_eq(weir_io_open(file, &io), -EBADF);
	weir_io_close(NULL);
}

/* ---- waiting */

LOOP_TEST(io_wait_answers_what_holds)
{
	struct ends ends;
	open_socket(&ends);
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE | WEIR_WRITABLE, WEIR_FOREVER), WEIR_WRITABLE);
	put_bytes(&ends, "x");
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE, WEIR_FOREVER), WEIR_READABLE);
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE | WEIR_WRITABLE, WEIR_FOREVER),
			 WEIR_READABLE | WEIR_WRITABLE);
	close_ends(&ends);
}

LOOP_TEST(io_wait_to_try_looks)
{
	struct ends ends;
	open_socket(&ends);
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE, WEIR_TRY), WEIR_EAGAIN);
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE, weir_now() - 1), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE | WEIR_WRITABLE, WEIR_TRY), WEIR_WRITABLE);
	put_bytes(&ends, "x");
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE, WEIR_TRY), WEIR_READABLE);
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE, weir_now() - 1), WEIR_READABLE);
	close_ends(&ends);
}

LOOP_TEST(io_wait_has_a_deadline_and_can_be_cancelled)
{
	struct ends ends;
	open_socket(&ends);
	weir_nsec deadline = weir_after(2 * WEIR_MSEC);
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE, deadline), WEIR_ETIMEDOUT);
	ck_assert_int_ge(weir_clock(), deadline);
	struct wait wait = {.io = ends.io, .events = WEIR_READABLE};
	struct weir_group *group = new_group();
	spawn(group, wait_fiber, &wait);
	weir_yield();
	weir_group_cancel(group);
	finish(group);
	ck_assert_int_eq(wait.answer, WEIR_ECANCELED);
	close_ends(&ends);
}

LOOP_TEST(io_two_wait_for_different_events)
{
	struct ends ends;
	open_socket(&ends);
	fill(&ends);
	struct wait reader = {.io = ends.io, .events = WEIR_READABLE},
		    writer = {.io = ends.io, .events = WEIR_WRITABLE};
	struct weir_group *group = new_group();
	spawn(group, wait_fiber, &reader);
	spawn(group, wait_fiber, &writer);
	weir_sleep(WEIR_MSEC);
	drain(&ends);
	wait_for_answer(&writer);
	ck_assert_int_eq(writer.answer, WEIR_WRITABLE);
	ck_assert_int_eq(reader.answer, UNANSWERED);
	put_bytes(&ends, "x");
	finish(group);
	ck_assert_int_eq(reader.answer, WEIR_READABLE);
	close_ends(&ends);
}

LOOP_TEST(io_all_who_wait_for_an_event_are_woken)
{
	struct ends ends;
	struct wait waits[5];
	open_socket(&ends);
	struct weir_group *group = new_group();
	for (int i = 0; i < 5; i++) {
		waits[i] = (struct wait){.io = ends.io, .events = WEIR_READABLE};
		spawn(group, wait_fiber, &waits[i]);
	}
	weir_sleep(WEIR_MSEC);
	put_bytes(&ends, "x");
	finish(group);
	for (int i = 0; i < 5; i++)
		ck_assert_int_eq(waits[i].answer, WEIR_READABLE);
	close_ends(&ends);
}

static int write_later(void *arg)
{
	nanosleep(&(struct timespec){.tv_nsec = 20000000}, NULL);
	return write(*(int *)arg, "x", 1) == 1 ? 0 : -EIO;
}

static void *write_later_thread(void *arg)
{
	write_later(arg);
	return NULL;
}

/* What was watched for writing is no longer wanted: to change that means to register anew, and until that has reached
 * the system nothing must wait. */
LOOP_TEST(io_event_is_not_lost_while_another_is_given_up)
{
	struct ends ends;
	pthread_t thread;
	open_socket(&ends);
	for (int i = 0; i < 5; i++) {
		char c;
		ck_assert_int_eq(weir_io_wait(ends.io, WEIR_WRITABLE, weir_after(WEIR_SEC)), WEIR_WRITABLE);
		pthread_create(&thread, NULL, write_later_thread, &ends.fds[1]);
		ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE, weir_after(3 * WEIR_SEC)), WEIR_READABLE);
		ck_assert_int_eq(weir_io_read(ends.io, &c, 1, WEIR_TRY), 1);
		pthread_join(thread, NULL);
	}
	close_ends(&ends);
}

/* The peer has written and nobody reads: a level-triggered event that must not keep the loop awake. */
LOOP_TEST(io_event_that_nobody_waits_for_does_not_spin)
{
	struct ends ends;
	struct weir_run_stats before, after;
	open_socket(&ends);
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE, weir_after(WEIR_MSEC)), WEIR_ETIMEDOUT);
	put_bytes(&ends, "x");
	fill(&ends);
	struct wait writer = {.io = ends.io, .events = WEIR_WRITABLE};
	struct weir_group *group = new_group();
	spawn(group, wait_fiber, &writer); /* so that the loop does look */
	weir_run_stats(&before);
	weir_sleep(30 * WEIR_MSEC);
	weir_run_stats(&after);
	ck_assert_uint_le(after.polls - before.polls, 5);
	ck_assert_int_eq(writer.answer, UNANSWERED);
	drain(&ends);
	finish(group);
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE, weir_after(WEIR_SEC)), WEIR_READABLE);
	close_ends(&ends);
}

LOOP_TEST(io_waiting_loop_sleeps)
{
	struct ends ends;
	struct weir_run_stats before, after;
	open_socket(&ends);
	weir_run_stats(&before);
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE, weir_after(30 * WEIR_MSEC)), WEIR_ETIMEDOUT);
	weir_run_stats(&after);
	ck_assert_uint_le(after.polls - before.polls, 5);
	close_ends(&ends);
}

/* ---- wake and close */

LOOP_TEST(io_wake_ends_the_wait_under_way_or_the_next_one)
{
	struct ends ends;
	open_socket(&ends);
	struct wait wait = {.io = ends.io, .events = WEIR_READABLE};
	struct weir_group *group = new_group();
	spawn(group, wait_fiber, &wait);
	weir_sleep(WEIR_MSEC);
	weir_io_wake(ends.io);
	finish(group);
	ck_assert_int_eq(wait.answer, 0);
	weir_io_wake(ends.io);
	weir_io_wake(ends.io);
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE, WEIR_FOREVER), 0);
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE, WEIR_TRY), WEIR_EAGAIN);
	close_ends(&ends);
}

LOOP_TEST(io_wake_is_not_for_those_who_read_or_write)
{
	struct ends ends;
	open_socket(&ends);
	struct wait read = {.io = ends.io}, wait = {.io = ends.io, .events = WEIR_READABLE};
	struct weir_group *group = new_group(), *waiting = new_group();
	spawn(group, read_fiber, &read);
	weir_sleep(WEIR_MSEC);
	spawn(waiting, wait_fiber, &wait);
	weir_sleep(WEIR_MSEC);
	weir_io_wake(ends.io);
	wait_for_answer(&wait);
	weir_sleep(WEIR_MSEC);
	ck_assert_int_eq(wait.answer, 0);
	ck_assert_int_eq(read.answer, UNANSWERED);
	finish(waiting);
	weir_io_wake(ends.io); /* for the next wait, not for the read */
	weir_sleep(WEIR_MSEC);
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE, WEIR_FOREVER), 0);
	put_bytes(&ends, "x");
	finish(group);
	ck_assert_int_eq(read.answer, 1);
	close_ends(&ends);
}

LOOP_TEST(io_close_ends_all_waits)
{
	struct ends ends;
	open_socket(&ends);
	struct wait waits[3] = {
		{.io = ends.io, .events = WEIR_READABLE}, {.io = ends.io, .events = WEIR_READABLE}, {.io = ends.io}};
	struct weir_group *group = new_group();
	spawn(group, wait_fiber, &waits[0]);
	spawn(group, wait_fiber, &waits[1]);
	spawn(group, read_fiber, &waits[2]);
	weir_sleep(WEIR_MSEC);
	close_ends(&ends);
	finish(group);
	for (int i = 0; i < 3; i++)
		ck_assert_int_eq(waits[i].answer, WEIR_ECLOSED);
}

static int wait_then_close(void *arg)
{
	struct ends *ends = arg;
	ck_assert_int_eq(weir_io_wait(ends->io, WEIR_READABLE, WEIR_FOREVER), WEIR_READABLE);
	close_ends(ends);
	weir_nsec until = weir_clock() + WEIR_MSEC; /* the loop looks for events before the others run */
	while (weir_clock() < until)
		;
	return 0;
}

static int yield_often(void *arg)
{
	for (int i = 0; i < *(int *)arg; i++)
		weir_yield();
	return 0;
}

/* Both are woken by one event; the first closes, the second must not read from what is gone. */
LOOP_TEST(io_close_reaches_a_reader_that_was_just_woken)
{
	for (int i = 0; i < 3; i++) {
		struct ends ends;
		int often = 200;
		open_socket(&ends);
		struct wait read = {.io = ends.io};
		struct weir_group *group = new_group();
		spawn(group, wait_then_close, &ends);
		spawn(group, read_fiber, &read);
		weir_sleep(WEIR_MSEC);
		for (int k = 0; k < 10; k++)
			spawn(group, yield_often, &often);
		put_bytes(&ends, "x");
		finish(group);
		ck_assert_int_eq(read.answer, WEIR_ECLOSED);
	}
}

struct rival {
	struct wait read;
	struct weir_group *others;
};

static int read_and_cancel_the_others(void *arg)
{
	struct rival *self = arg;
	read_fiber(&self->read);
	weir_group_cancel(self->others);
	return 0;
}

/* One byte wakes both; the second finds it taken, and must not wait again: it was cancelled meanwhile. */
LOOP_TEST(io_cancel_reaches_a_reader_that_was_just_woken)
{
	struct ends ends;
	open_socket(&ends);
	struct weir_group *group = new_group(), *others = new_group();
	struct rival first = {.read = {.io = ends.io}, .others = others};
	struct wait second = {.io = ends.io};
	spawn(group, read_and_cancel_the_others, &first);
	weir_yield();
	spawn(others, read_fiber, &second);
	weir_sleep(WEIR_MSEC);
	put_bytes(&ends, "x");
	finish(group);
	finish(others);
	ck_assert_int_eq(first.read.answer, 1);
	ck_assert_int_eq(second.answer, WEIR_ECANCELED);
	close_ends(&ends);
}

LOOP_TEST(io_opened_anew_on_the_same_descriptor)
{
	struct ends ends;
	char c;
	open_socket(&ends);
	for (int i = 0; i < 20; i++) {
		put_bytes(&ends, "x");
		ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE, weir_after(WEIR_SEC)), WEIR_READABLE);
		ck_assert_int_eq(weir_io_read(ends.io, &c, 1, WEIR_TRY), 1);
		weir_io_close(ends.io);
		ck_assert_int_eq(weir_io_open(ends.fds[0], &ends.io), 0);
	}
	close_ends(&ends);
}

/* ---- many, and among others */

enum { PAIRS = 200, MESSAGES = 20 };

static int echo(void *arg)
{
	struct weir_io *io = arg;
	char c;
	for (int i = 0; i < MESSAGES; i++) {
		quick_assert(weir_io_read(io, &c, 1, WEIR_FOREVER) == 1);
		quick_assert(weir_io_write(io, &c, 1, WEIR_FOREVER) == 0);
	}
	return 0;
}

static int ask(void *arg)
{
	struct weir_io *io = arg;
	for (int i = 0; i < MESSAGES; i++) {
		char sent = (char)i, got;
		quick_assert(weir_io_write(io, &sent, 1, WEIR_FOREVER) == 0);
		quick_assert(weir_io_read(io, &got, 1, WEIR_FOREVER) == 1);
		quick_assert(got == sent);
	}
	return 0;
}

static void many_descriptors(void)
{
	static struct ends ends[PAIRS];
	static struct weir_io *peers[PAIRS];
	struct weir_group *group = new_group();
	for (int i = 0; i < PAIRS; i++) {
		open_socket(&ends[i]);
		ck_assert_int_eq(weir_io_open(ends[i].fds[1], &peers[i]), 0);
		spawn(group, echo, peers[i]);
		spawn(group, ask, ends[i].io);
	}
	finish(group);
	for (int i = 0; i < PAIRS; i++) {
		weir_io_close(peers[i]);
		close_ends(&ends[i]);
	}
}

LOOP_TEST(io_many_descriptors)
{
	many_descriptors();
}

FIBER_TEST(io_many_descriptors_in_any_order)
{
	many_descriptors();
}

static int burn(void *arg)
{
	while (!*(volatile bool *)arg)
		weir_yield();
	return 0;
}

/* While n others, which end when *arg is true, leave the loop no time to sleep. */
static void read_beside(weir_fiber_fn other, int n)
{
	struct ends ends;
	bool stop = false;
	open_socket(&ends);
	struct wait read = {.io = ends.io};
	struct weir_group *group = new_group(), *others = new_group();
	for (int i = 0; i < n; i++)
		spawn(others, other, &stop);
	spawn(group, read_fiber, &read);
	weir_sleep(WEIR_MSEC);
	put_bytes(&ends, "x");
	finish(group);
	ck_assert_int_eq(read.answer, 1);
	stop = true;
	finish(others);
	close_ends(&ends);
}

LOOP_TEST(io_is_looked_at_also_when_fibers_never_stop_running)
{
	read_beside(burn, 3);
}

static int doze(void *arg)
{
	while (!*(volatile bool *)arg)
		weir_sleep(1);
	return 0;
}

LOOP_TEST(io_is_looked_at_also_when_a_crowd_is_always_due)
{
	read_beside(doze, 1000);
}

FIBER_TEST(io_virtual_time_stands_still_while_one_waits_outside)
{
	struct ends ends;
	weir_nsec start = weir_now();
	pthread_t thread;
	open_socket(&ends);
	pthread_create(&thread, NULL, write_later_thread, &ends.fds[1]);
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE, WEIR_FOREVER), WEIR_READABLE);
	ck_assert_int_eq(weir_now(), start);
	pthread_join(thread, NULL);
	close_ends(&ends);
}

static void ignore_signal(int number)
{
	(void)number;
}

static void *interrupt_often(void *arg)
{
	for (int i = 0; i < 50; i++) {
		pthread_kill(*(pthread_t *)arg, SIGUSR1);
		nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
	}
	return NULL;
}

LOOP_TEST(io_signals_neither_end_a_sleep_nor_a_wait)
{
	struct ends ends;
	pthread_t self = pthread_self(), thread;
	open_socket(&ends);
	ck_assert_int_eq(sigaction(SIGUSR1, &(struct sigaction){.sa_handler = ignore_signal}, NULL), 0);
	pthread_create(&thread, NULL, interrupt_often, &self);
	weir_nsec deadline = weir_after(8 * WEIR_MSEC);
	ck_assert_int_eq(weir_io_wait(ends.io, WEIR_READABLE, deadline), WEIR_ETIMEDOUT);
	ck_assert_int_ge(weir_clock(), deadline);
	deadline = weir_after(5 * WEIR_MSEC);
	ck_assert_int_eq(weir_sleep_until(deadline), 0);
	ck_assert_int_ge(weir_clock(), deadline);
	pthread_join(thread, NULL);
	close_ends(&ends);
}

static int raise_soon(void *arg)
{
	raise(*(int *)arg);
	return 0;
}

static int wait_for_signals(void *arg)
{
	(void)arg;
	int signal = SIGTERM;
	sigset_t blocked;
	struct weir_group *group = new_group();
	ck_assert_int_eq(weir_signal_wait((const int[]){SIGINT, 0}, weir_after(WEIR_MSEC)), WEIR_ETIMEDOUT);
	ck_assert_int_eq(weir_signal_wait((const int[]){999, 0}, WEIR_FOREVER), WEIR_EINVAL);
	spawn(group, raise_soon, &signal);
	ck_assert_int_eq(weir_signal_wait((const int[]){SIGINT, SIGTERM, 0}, WEIR_FOREVER), SIGTERM);
	finish(group);
	pthread_sigmask(SIG_BLOCK, NULL, &blocked);
	ck_assert_int_eq(sigismember(&blocked, SIGTERM), 0);
	return 0;
}

static int raise_sigint(void *arg)
{
	(void)arg;
	weir_sleep(10 * WEIR_MSEC);
	kill(getpid(), SIGINT);
	return weir_sleep(60 * WEIR_SEC);
}

static int stop_parts(void *arg)
{
	(void)arg;
	const struct weir_group_part parts[] = {{.fn = raise_sigint}, {.fn = weir_signal_stop, .background = true}};
	return weir_group_run(parts, 2, WEIR_FOREVER);
}

TEST(signal_stop_ends_the_other_parts)
{
	weir_nsec before = weir_clock();
	ck_assert_int_eq(weir_run(NULL, stop_parts, NULL), WEIR_EINTR);
	ck_assert_int_lt(weir_clock() - before, 50 * WEIR_SEC);
}

TEST(signal_wait_returns_the_signal_and_leaves_the_mask_as_it_was)
{
	ck_assert_int_eq(weir_run(NULL, wait_for_signals, NULL), 0);
}
