/* SPDX-License-Identifier: MIT */
/*
 * The child runs the loop and sends its result through a pipe when it is done.  A child that dies (no memory, say)
 * leaves a row that says so.
 *
 * A recovery run goes on until its upstream has been away and the work goes on as before, or RECOVERY_MOST has passed.
 */
#include "bench/run.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>
#include <weir/group.h>

#include "bench/meter.h"
#include "bench/text.h"
#include "bench/upstream.h"

enum { FDS_RESERVED = 64, LOOKS = 500, LEAST_LOOK_MS = 20 };

/* ---- descriptors */

static size_t most_sockets(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return FDS_RESERVED;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	if (limit.rlim_max == RLIM_INFINITY || limit.rlim_max > 1000000)
		return 1000000;
	return (size_t)(limit.rlim_max > 2 * FDS_RESERVED ? limit.rlim_max - FDS_RESERVED : limit.rlim_max / 2);
}

static size_t wanted_concurrency(const struct bench_run *run)
{
	size_t jobs = run->plan->load.jobs < 1000000 ? (size_t)run->plan->load.jobs : 1000000;
	if (run->shape.law == BENCH_LAW_ONCE || run->shape.concurrency > jobs)
		return jobs;
	return run->shape.concurrency;
}

/* How many requests may be open; what is too much for this system is lowered, and said. */
static size_t fit_descriptors(struct bench_run *run)
{
	size_t wanted = wanted_concurrency(run), most = most_sockets();
	char have[32], want[32];
	if (run->plan->model || wanted <= most)
		return wanted;
	snprintf(run->result->note, sizeof run->result->note, "%s connections instead of %s: ulimit -n allows no more",
		 bench_text_count((double)most, have), bench_text_count((double)wanted, want));
	if (run->shape.law != BENCH_LAW_ONCE)
		run->shape.concurrency = most;
	else
		run->shape = (struct bench_shape){.law = BENCH_LAW_LIMIT, .concurrency = most};
	return most;
}

/* ---- the fault */

/* The first part of the time before the fault is for getting under way. */
static weir_nsec fault_warm(const struct bench_load *load)
{
	return 2 * load->high;
}

static weir_nsec recovery_window(const struct bench_load *load)
{
	return 2 * load->high;
}

/* What is sent at once is half answered when the fault comes; the others have had time to settle. */
static weir_nsec fault_from(const struct bench_run *run)
{
	const struct bench_load *load = &run->plan->load;
	return run->shape.law == BENCH_LAW_ONCE ? load->high / 2 : fault_warm(load) + 4 * load->high;
}

static int make_fault(void *arg)
{
	struct bench_run *run = arg;
	const struct bench_load *load = &run->plan->load;
	struct bench_recovery *recovery = &run->result->recovery;
	int code = weir_sleep(fault_from(run));
	if (code < 0)
		return code;
	recovery->from = bench_meter_now(run->meter);
	bench_upstream_down(run->upstream);
	code = weir_sleep(3 * load->high);
	if (code < 0)
		return code;
	code = bench_upstream_up(run->upstream);
	recovery->to = bench_meter_now(run->meter);
	recovery->tried = true;
	if (run->shape.law == BENCH_LAW_ONCE) /* there is no going on as before */
		return code;
	weir_nsec last = bench_meter_now(run->meter) + 30 * WEIR_SEC + 10 * load->high;
	while (!code && bench_meter_now(run->meter) < last) {
		code = weir_sleep(load->high / 4);
		bench_recovery_find(&run->result->ended, fault_warm(load), recovery_window(load), recovery);
		if (recovery->took >= 0)
			break;
	}
	run->stopping = true;
	return code;
}

static int run_with_fault(struct bench_run *run)
{
	struct weir_group *group;
	int code = weir_group_new(NULL, &group);
	if (code < 0)
		return code;
	code = weir_group_spawn(group, make_fault, run, WEIR_FOREVER);
	if (!code)
		code = bench_run_process(run);
	weir_group_cancel(group);
	weir_group_wait(group, WEIR_FOREVER);
	weir_group_free(group);
	return code;
}

/* ---- the child */

static int run_measured(struct bench_run *run, struct bench_meter *meter)
{
	double steady = run->plan->urls ? 0 : run->bound.steady;
	weir_nsec every = (weir_nsec)(run->bound.seconds * 1e9 / LOOKS) + 1, least = LEAST_LOOK_MS * WEIR_MSEC;
	if (!run->plan->model && every < least)
		every = least;
	int code = bench_meter_start(meter, run->shape.law == BENCH_LAW_ONCE ? 0 : steady, every, run->result);
	if (code < 0)
		return code;
	run->meter = meter;
	if (run->variant->kind != BENCH_PROCESS)
		code = bench_run_permits(run);
	else
		code = run->plan->recovery ? run_with_fault(run) : bench_run_process(run);
	bench_meter_stop(meter);
	return code;
}

static int run_on_loop(void *arg)
{
	struct bench_run *run = arg;
	const struct bench_plan *plan = run->plan;
	struct weir_error err = {0};
	struct bench_upstream_options opts = {
		.load = plan->load,
		.seed = plan->seed,
		.sockets = !plan->model && run->variant->kind == BENCH_PROCESS,
		.weir = plan->weir,
		.place = plan->place,
		.urls = plan->urls,
		.url_count = plan->url_count,
		.allow_private = plan->allow_private,
		.timeout = 10 * WEIR_SEC,
	};
	opts.in_flight = opts.sockets ? fit_descriptors(run) : wanted_concurrency(run);
	bench_bound(&run->shape, &plan->load, &run->bound);
	int code = bench_upstream_open(&opts, &run->upstream, &err);
	if (code < 0) {
		snprintf(run->result->note, sizeof run->result->note, "%.199s", err.text);
		return code;
	}
	struct bench_meter meter;
	code = run_measured(run, &meter);
	bench_upstream_close(run->upstream);
	return code;
}

static bool write_all(int fd, const void *bytes, size_t n)
{
	const char *at = bytes;
	while (n) {
		ssize_t done = write(fd, at, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done <= 0)
			return false;
		at += done;
		n -= (size_t)done;
	}
	return true;
}

static void run_child(const struct bench_plan *plan, const struct bench_variant *variant, int out)
{
	static struct bench_result result;
	struct bench_run run = {.plan = plan, .variant = variant, .shape = variant->shape, .result = &result};
	unsigned flags = plan->model ? WEIR_VIRTUAL_CLOCK : 0;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	result.code = plan->database ? bench_run_orders(&run)
				     : weir_run(&(struct weir_options){.flags = flags}, run_on_loop, &run);
	if (result.code < 0 && !result.note[0])
		snprintf(result.note, sizeof result.note, "ended early: %s", weir_strerror(result.code));
	_exit(write_all(out, &result, sizeof result) ? 0 : 1);
}

/* ---- the parent */

static bool read_all(int fd, void *bytes, size_t n)
{
	char *at = bytes;
	while (n) {
		ssize_t got = read(fd, at, n);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		at += got;
		n -= (size_t)got;
	}
	return true;
}

static void say_death(int status, struct bench_result *ret_result)
{
	*ret_result = (struct bench_result){.code = WEIR_EDIED};
	if (WIFSIGNALED(status))
		snprintf(ret_result->note, sizeof ret_result->note, "its process died: %s%s",
			 strsignal(WTERMSIG(status)), WTERMSIG(status) == SIGKILL ? " (no memory?)" : "");
	else
		snprintf(ret_result->note, sizeof ret_result->note, "its process ended with %d and no result",
			 WEXITSTATUS(status));
}

void bench_run(const struct bench_plan *plan, const struct bench_variant *variant, struct bench_result *ret_result)
{
	int ends[2], status = 0;
	if (pipe2(ends, O_CLOEXEC) < 0) {
		*ret_result = (struct bench_result){.code = -errno};
		snprintf(ret_result->note, sizeof ret_result->note, "no pipe: %s", strerror(errno));
		return;
	}
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0)
		run_child(plan, variant, ends[1]);
	close(ends[1]);
	bool whole = pid > 0 && read_all(ends[0], ret_result, sizeof *ret_result);
	close(ends[0]);
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	if (!whole)
		say_death(status, ret_result);
}
