/* SPDX-License-Identifier: MIT */
/*
 * Where a run stands, as a block of lines that a terminal shows in one place:
 *
 *     orders  ━━━━━━━━━━━━━╸             54 %   5,377/10,000    1,947/s  ETA 2.4 s
 *             5,370 ok   7 failed   123 to retry   500 in flight   p50 205 ms
 *             limited by your concurrency (500)
 *
 * Columns are fixed.  In a narrow terminal the bar gives way first; below 60 columns there is the first line alone.
 * The third one is yellow and begins with "!" when something is wrong; then it may take three.
 */
#ifndef CMD_BLOCK_H
#define CMD_BLOCK_H

#include "cmd/report.h"
#include "data/terminal.h"

enum { BLOCK_LINES = 5 };

struct block {
	struct buf text; /* each line clears the rest of its row and ends with a newline */
	size_t widths[BLOCK_LINES], lines;
};

void block_make(const struct report *report, const struct terminal *terminal, struct block *ret_block);

/* Its first line as text, "54 %, 5,377/10,000, 1,947/s, ETA 2.4 s"; its second, "5,370 ok, 7 failed, …"; and all of it
 * on a line for a log, without a newline. */
void block_add_pace(const struct report *report, struct buf *out);
void block_add_counts(const struct report *report, struct buf *out);
void block_add_line(const struct report *report, struct buf *out);

#endif
