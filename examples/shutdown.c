/* SPDX-License-Identifier: MIT */
/*
 * A graceful end: on SIGTERM or SIGINT take nothing new, finish what was accepted, but not for ever.
 * A signal is a descriptor here (signalfd), waited for like any other; nothing runs inside a signal handler.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/signalfd.h>
#include <weir/weir.h>

static struct weir_queue *queue;
static struct weir_event *stopping;
static int accepted, done;

static int produce(void *arg)
{
	(void)arg;
	int code = 0;
	for (int job = 1; job <= 30 && (code = weir_queue_put(queue, &job, WEIR_FOREVER)) == 0; job++) {
		accepted = job;
		if (job == 12)
			raise(SIGTERM); /* somebody wants us to end, and the next job is far off */
		/* The pause until the next job is a wait for the end, too: it answers 0 when the event was set. */
		if (weir_event_wait(stopping, weir_after(job == 12 ? 60 * WEIR_SEC : WEIR_MSEC)) == 0)
			break;
	}
	return code == WEIR_ECLOSED ? 0 : code; /* closed while it waited: that job was not accepted */
}

static int work(void *arg)
{
	(void)arg;
	int job, code;
	while ((code = weir_queue_get(queue, &job, WEIR_FOREVER)) == 0) {
		code = weir_sleep(20 * WEIR_MSEC); /* the job; WEIR_ECANCELED: break off */
		done += code == 0;
		weir_queue_task_done(queue);
	}
	return code == WEIR_ECLOSED ? 0 : code;
}

static int drain_on_signal(struct weir_io *signals)
{
	struct signalfd_siginfo info;
	ssize_t n = weir_io_read(signals, &info, sizeof info, WEIR_FOREVER);
	if (n < 0)
		return (int)n;
	printf("%s: %d of 30 jobs accepted, draining\n", strsignal((int)info.ssi_signo), accepted);
	weir_event_set(stopping);
	weir_queue_close(queue, 0); /* puts fail from now on, gets go on until it is empty */
	return weir_queue_join(queue, weir_after(5 * WEIR_SEC)); /* patience has an end: WEIR_ETIMEDOUT */
}

static int run(void *arg)
{
	struct weir_group *group = NULL;
	struct weir_io *signals = NULL;
	int code = weir_io_open(*(int *)arg, &signals);
	if (code == 0 && (code = weir_queue_new(sizeof(int), 15, &queue)) == 0 &&
	    (code = weir_event_new(&stopping)) == 0 && (code = weir_group_new(NULL, &group)) == 0) {
		code = weir_group_spawn(group, produce, NULL, WEIR_FOREVER);
		for (int i = 0; i < 3 && code == 0; i++)
			code = weir_group_spawn(group, work, NULL, WEIR_FOREVER);
		if (code < 0 || (code = drain_on_signal(signals)) < 0)
			weir_group_cancel(group); /* what still runs breaks off at its next call */
		int result = weir_group_wait(group, WEIR_FOREVER);
		code = code < 0 ? code : result;
	}
	printf("%d done of %d accepted\n", done, accepted);
	weir_group_free(group);
	weir_event_free(stopping);
	weir_queue_free(queue);
	weir_io_close(signals); /* before its descriptor */
	return code;
}

int main(void)
{
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigprocmask(SIG_BLOCK, &set, NULL); /* first of all: threads that are started later inherit it */
	int fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	int code = fd < 0 ? -errno : weir_run(NULL, run, &fd); /* the real clock: a signal is not virtual */
	if (code < 0)
		fprintf(stderr, "shutdown: %s\n", weir_strerror(code));
	return code < 0;
}
