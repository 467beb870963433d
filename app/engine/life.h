/* SPDX-License-Identifier: MIT */
/* Whether the run goes on, how it ends, and whom to tell: what all other parts of the engine need of it. */
#ifndef ENGINE_LIFE_H
#define ENGINE_LIFE_H

#include "engine/engine.h"

#include <weir/event.h>

/* Exit codes of weir's own; the others are from <sysexits.h>. */
enum engine_exit {
	EXIT_DONE = 0,
	EXIT_DEAD_LETTERS = 3,
	EXIT_ACCOUNTS = 4,
	EXIT_STOPPED = 5,
	EXIT_GAVE_UP = 6,
};

struct engine_life {
	const struct plan *plan;
	struct engine_options opts;
	char run[33]; /* its name: 32 hexadecimal digits */
	enum engine_state state;
	const char *reason;
	char gave_up[200]; /* why stop_when ended the run; empty: it did not */
	int failed_exit;   /* of the first failure; 0: none */
	struct weir_error failure;
	struct weir_event *stopping;
};

bool engine_has_role(const struct engine_life *life, enum engine_role role);

/* A remark for people. */
void engine_note(const struct engine_life *life, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* As engine_stop(). */
void engine_end(struct engine_life *life, const char *reason);

/* Ends the run for a reason that is its own, not the user's. */
void engine_give_up(struct engine_life *life, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* The run cannot go on; the first failure counts. */
void engine_fail(struct engine_life *life, int exit_code, const struct weir_error *err);

/* The exit code for a failure of a sink or the broker. */
int engine_exit_of(int code);

#endif
