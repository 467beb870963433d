/* SPDX-License-Identifier: MIT */
/*
 * A visit to the broker of a pipeline that several processes work on: for verbs that look at a run, or change it, and
 * do no work of it.  What `weir status`, `set`, `dead` and `state` do for other pipelines by the state folder they do
 * here by the pipeline file, from any machine that reaches the broker.
 */
#ifndef CMD_VISIT_H
#define CMD_VISIT_H

#include "port/broker.h"
#include "spec/plan.h"

struct visit {
	const struct plan *plan;
	const struct broker_ops *ops;
	struct broker *broker;
};

bool visit_is_shared(const struct plan *plan);

/* The plan of a pipeline file whose broker is shared; NULL: the word is something else, such as the name of a run. */
struct plan *visit_find(const char *word);

/* On a loop.  The failures are those of the broker's open(). */
int visit_open(const struct plan *plan, struct visit *ret_visit, struct weir_error *err);
void visit_close(struct visit *visit);

/* Starts a loop, opens the broker on it and calls fn.  A failure is printed with the prefix `who`, such as "weir
 * status". fn answers 0, an exit code, or a negative code with err.  Frees the plan.  Returns the exit code. */
int visit_run(struct plan *plan, const char *who, int (*fn)(struct visit *visit, void *arg, struct weir_error *err),
	      void *arg);

/* Asks again for as long as the broker is only busy, for five seconds. */
bool visit_again(int code, unsigned *attempts);

/* Waits a second; true: a signal came on the descriptor, or the wait failed.  On a fiber; suspends. */
bool visit_was_told_to_end(int signal_fd);

/* Waits for a run that has unfinished items: 1.  0: a signal came on the descriptor first.  Or a failure, with err.
 * note: is told if the broker is away meanwhile, and when it is back.  On a fiber; suspends. */
int visit_await_run(const struct plan *plan, int signal_fd, void (*note)(void *arg, const char *text), void *arg,
		    struct weir_error *err);

int visit_recall(struct visit *visit, struct broker_past *ret_past, struct weir_error *err);
int visit_look(struct visit *visit, struct fleet_view *ret_view, struct weir_error *err);

#endif
