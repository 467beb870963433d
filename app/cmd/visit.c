/* SPDX-License-Identifier: MIT */
#include "cmd/visit.h"

#include "cmd/cmd.h"
#include "cmd/runs.h"
#include "data/terminal.h"
#include "engine/life.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <weir/weir.h>

/* Plans are read and letters printed on the loop's fibers, too. */
#define STACK_BYTES ((size_t)1 << 20)

enum { ATTEMPTS = 50 };

bool visit_is_shared(const struct plan *plan)
{
	return plan->broker.adapter->broker->exactness == BROKER_SHARED;
}

struct plan *visit_find(const char *word)
{
	struct plan *plan = NULL;
	struct stat st;
	if (!word || runs_have(word) || stat(word, &st) || S_ISDIR(st.st_mode))
		return NULL;
	if (spec_load(word, &(struct spec_options){.no_source = true}, &plan, NULL) || visit_is_shared(plan))
		return plan;
	plan_free(plan);
	return NULL;
}

int visit_open(const struct plan *plan, struct visit *ret_visit, struct weir_error *err)
{
	const struct broker_options opts = {.name = plan->settings.name,
					    .owner = "visitor",
					    .capacity_items = 1,
					    .most_items = 1,
					    .capacity_bytes = 1};
	*ret_visit = (struct visit){.plan = plan, .ops = plan->broker.adapter->broker};
	return ret_visit->ops->open(plan->broker.config, &opts, &ret_visit->broker, err);
}

void visit_close(struct visit *visit)
{
	if (visit->broker)
		visit->ops->close(visit->broker, NULL);
}

bool visit_again(int code, unsigned *attempts)
{
	return code == WEIR_EBUSY && ++*attempts < ATTEMPTS && !weir_sleep(WEIR_SEC / 10);
}

int visit_recall(struct visit *visit, struct broker_past *ret_past, struct weir_error *err)
{
	unsigned attempts = 0;
	int code;
	do
		code = visit->ops->journal.recall(visit->broker, ret_past, err, WEIR_FOREVER);
	while (visit_again(code, &attempts));
	return code;
}

int visit_look(struct visit *visit, struct fleet_view *ret_view, struct weir_error *err)
{
	unsigned attempts = 0;
	int code;
	do
		code = visit->ops->fleet->look(visit->broker, ret_view, err, WEIR_FOREVER);
	while (visit_again(code, &attempts));
	return code;
}

bool visit_was_told_to_end(int signal_fd)
{
	struct signalfd_siginfo info;
	struct weir_io *io;
	if (weir_io_open(signal_fd, &io))
		return true;
	ssize_t n = weir_io_read(io, &info, sizeof info, weir_after(WEIR_SEC));
	weir_io_close(io);
	return n != WEIR_ETIMEDOUT;
}

/* Whether there is a run that has unfinished items: 1 or 0; or a failure.  Opens the broker if it is not. */
static int look_for_run(const struct plan *plan, struct visit *visit, struct weir_error *err)
{
	struct broker_past past = {0};
	int code = visit->broker ? 0 : visit_open(plan, visit, err);
	if (!code)
		code = visit->ops->journal.recall(visit->broker, &past, err, WEIR_FOREVER);
	bool has_work = !code && past.begun && !past.done;
	broker_past_fini(&past);
	return code ? code : has_work;
}

/* It was reached before, so it is waited for. */
static bool is_away(int code)
{
	return code == WEIR_EBUSY || code == WEIR_ENOENT;
}

int visit_await_run(const struct plan *plan, int signal_fd, void (*note)(void *arg, const char *text), void *arg,
		    struct weir_error *err)
{
	struct visit visit = {0};
	unsigned failures = 0;
	int code = 0;
	while ((!code || is_away(code)) && !visit_was_told_to_end(signal_fd)) {
		char text[sizeof err->text + 48];
		code = look_for_run(plan, &visit, err);
		snprintf(text, sizeof text, "broker: %s; trying again until it works", err->text);
		if (is_away(code) && ++failures == 2)
			note(arg, text);
		if (code >= 0 && failures >= 2)
			note(arg, "broker: works again");
		failures = code < 0 ? failures : 0;
	}
	visit_close(&visit);
	return is_away(code) ? 0 : code;
}

struct visiting {
	struct plan *plan;
	const char *who;
	int (*fn)(struct visit *visit, void *arg, struct weir_error *err);
	void *arg;
};

/* Opens the broker, and sees that what it has can be read. */
static int open_and_look(const struct plan *plan, struct visit *visit, struct weir_error *err)
{
	struct broker_past past = {0};
	int code = visit_open(plan, visit, err);
	if (!code)
		code = visit_recall(visit, &past, err);
	broker_past_fini(&past);
	return code;
}

static int run_on_loop(void *arg)
{
	const struct visiting *call = arg;
	struct weir_error err = {0};
	struct visit visit = {0};
	int code = open_and_look(call->plan, &visit, &err);
	int exit_code = engine_exit_of(code);
	if (!code) {
		code = call->fn(&visit, call->arg, &err);
		exit_code = cmd_exit_of(code);
	}
	if (code < 0)
		terminal_complain(call->who, "%s", err.text);
	visit_close(&visit);
	return code < 0 ? exit_code : code;
}

int visit_run(struct plan *plan, const char *who, int (*fn)(struct visit *visit, void *arg, struct weir_error *err),
	      void *arg)
{
	struct visiting call = {plan, who, fn, arg};
	int code = weir_run(&(struct weir_options){.stack_bytes = STACK_BYTES}, run_on_loop, &call);
	if (code < 0)
		terminal_complain(who, "%s", weir_strerror(code));
	plan_free(plan);
	return code < 0 ? EX_UNAVAILABLE : code;
}
