/* SPDX-License-Identifier: MIT */
/* A run in words, for people who ask: what `weir status` and `weir set` say.  Lines end with a newline. */
#ifndef CMD_WORDS_H
#define CMD_WORDS_H

#include "cmd/report.h"

/* A line for each class of items that is to begin in time. */
void words_classes(const struct engine_stats *now, struct buf *out);

/* Of `weir status`. */
void words_status(const struct report *report, struct buf *out);

/* One line: the limits as `weir set` has left them. */
void words_limits(const struct report *report, struct buf *out);

#endif
