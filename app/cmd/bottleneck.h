/* SPDX-License-Identifier: MIT */
/* What keeps a run from being faster, in words. */
#ifndef CMD_BOTTLENECK_H
#define CMD_BOTTLENECK_H

#include "cmd/report.h"

/* "your concurrency (500)" */
void bottleneck_add(const struct report *report, enum engine_why why, struct buf *out);

/* A sentence about now: "limited by your concurrency (500)", or what is wrong (then it is true) and what to do; nothing
 * if there is nothing to say.  With texts from outside in it, as they are. */
bool bottleneck_say(const struct report *report, struct buf *out);

#endif
