/* SPDX-License-Identifier: MIT */
/*
 * What is told of a run: the progress line, its JSON form, the words at the end, the summary.  All from one look at the
 * engine, so that they agree.
 */
#ifndef CMD_REPORT_H
#define CMD_REPORT_H

#include "engine/engine.h"

struct report {
	const char *name;
	const struct engine *engine;
	weir_nsec looked_at; /* of the last report_look() */
	uint64_t settled;    /* then */
	double rate;         /* items settled a second, of late: the quotient of the next two */
	double decayed_items, decayed_seconds;
	char *where;              /* what tells the other verbs which run: a name, or --state DIR */
	const char *dead_letters; /* the file that they are in; NULL: not a file of ours */
	struct engine_stats now;
	struct engine_flow flow;
};

/* Takes a look: fills `now`, brings the rate up to date. */
void report_look(struct report *report);

/* One line for a terminal of so many columns, without a newline. */
void report_line(const struct report *report, size_t columns, struct buf *out);

/* The same as one JSON object: `event` is "progress", "end" or "status". */
void report_json(const struct report *report, const char *event, struct buf *out);

/* A few lines for people, at the end of a run. */
void report_closing(const struct report *report, struct buf *out);

/* The totals, as JSON on several lines, newline included.  After the children of the run have ended. */
void report_summary(const struct report *report, int exit_code, struct buf *out);

/* 1234567 -> 1,234,567 */
const char *report_number(uint64_t n, char text[32]);

/* As people say them: 0.8 s, 43 s, 2 m 05 s, 3 h 20 m. */
const char *report_seconds(double seconds, char text[32]);

/* Seconds since this process was started (from exec, to 10 ms), on a clock that also runs while the machine sleeps. */
double report_wall_seconds(void);

#endif
