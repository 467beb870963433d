/* SPDX-License-Identifier: MIT */
/*
 * A graceful end: on SIGTERM or SIGINT take nothing new, finish what was accepted, but not for ever.  A signal is
 * something to wait for, like any other.  The pause between two jobs is a wait for the end, too.
 */
#include <signal.h>
#include <stdio.h>
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

static int drain_on_signal(void *arg)
{
	(void)arg;
	int signal = weir_signal_wait((const int[]){SIGINT, SIGTERM, 0}, WEIR_FOREVER);
	if (signal < 0)
		return signal;
	printf("%s: %d of 30 jobs accepted\n", signal == SIGTERM ? "SIGTERM" : "SIGINT", accepted);
	weir_event_set(stopping);
	weir_queue_close(queue, 0); /* from now on puts fail; gets continue until it is empty */
	return weir_queue_join(queue, weir_after(5 * WEIR_SEC)); /* too late, WEIR_ETIMEDOUT: that cancels the others */
}

static int run(void *arg)
{
	struct weir_group_part parts[] = {{.fn = produce}, {.fn = work, .fibers = 3}, {.fn = drain_on_signal}};
	int code = weir_queue_new(sizeof(int), 15, &queue);
	(void)arg;
	if (code == 0 && (code = weir_event_new(&stopping)) == 0)
		code = weir_group_run(parts, 3, WEIR_FOREVER);
	printf("%d done of %d accepted\n", done, accepted);
	weir_event_free(stopping);
	weir_queue_free(queue);
	return code;
}

int main(void)
{
	return weir_run(NULL, run, NULL) < 0; /* the real clock: a signal is not virtual */
}
