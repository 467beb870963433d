/* SPDX-License-Identifier: MIT */
/* One look at a run, of which all that is said of it is made: figures.h says it to programs, words.h to people. */
#ifndef CMD_REPORT_H
#define CMD_REPORT_H

#include "engine/engine.h"

enum { REPORT_MARKS = 32 };

struct report {
	const char *name;
	const struct engine *engine;
	weir_nsec looked_at;  /* of the last report_look() */
	uint64_t settled;     /* then */
	weir_nsec settled_at; /* when that was last another number */
	double rate;          /* items settled a second, of late */
	struct report_mark {
		weir_nsec at;
		uint64_t settled;
	} marks[REPORT_MARKS];    /* one a second: where it stood then */
	size_t mark_count;        /* ever; the last ones are there */
	char *where;              /* the run, as an argument of other verbs: its name or its folder */
	char *sink;               /* "orders.db, table orders" */
	const char *dead_letters; /* the file that they are in; NULL: not a file of ours */
	const char *url;          /* of its endpoint; NULL: it has none */
	char own_rate[32];        /* "1000/s"; empty: none */
	struct engine_stats now;
	struct engine_flow flow;
	struct why why, whole;      /* what limits it of late; and what has, in all the time of this process */
	double spent[SPENT_PLACES]; /* seconds: where that time went */
};

/* Takes a look: fills `now` and `flow`, brings the rate up to date. */
void report_look(struct report *report);

/* Brings the rate up to date: so many items were settled then.  Pure. */
void report_mark(struct report *report, weir_nsec now, uint64_t settled);

/* Items that are settled; and those of them that were in this process. */
uint64_t report_settled(const struct report *report);
uint64_t report_settled_here(const struct report *report);

/* Seconds until all is settled; -1: nobody knows. */
double report_eta(const struct report *report);

/* Something keeps all items waiting: the rate of late says nothing of the time that is left. */
bool report_stands_still(const struct report *report);

/* Seconds since this process was started (from exec, to 10 ms), on a clock that also runs while the machine sleeps. */
double report_wall_seconds(void);

/* Processor time of this process, and of its children that have ended. */
double report_cpu_seconds(void);

#endif
