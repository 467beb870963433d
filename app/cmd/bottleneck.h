/* SPDX-License-Identifier: MIT */
/* What keeps a run from being faster, in words (engine/why.h decides it). */
#ifndef CMD_BOTTLENECK_H
#define CMD_BOTTLENECK_H

#include "cmd/report.h"

/* Of the run until now: "your concurrency (500), 97 % of the time; with twice the concurrency in 2.6 s" */
void bottleneck_add(const struct report *report, struct buf *out);

/* Of late, and what follows: "limited by your rate (20/s), 97 % of the time; done in 12 s; with twice the rate in 6.0
 * s; more concurrency: no difference".  Nothing if nothing limits it. */
void bottleneck_add_limit(const struct report *report, struct buf *out);

/* A sentence about now: the same, or what is wrong (then it is true) and what to do; nothing if there is
 * nothing to say.  With texts from outside in it, as they are. */
bool bottleneck_say(const struct report *report, struct buf *out);

/* Where the time went, as a bar with its legend: "############======-- # upstream 60 %, = rate limit 30 %, - sink 10
 * %". Nothing if it is not known. */
void bottleneck_add_time(const struct report *report, struct buf *out);

#endif
