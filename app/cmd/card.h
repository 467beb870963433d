/* SPDX-License-Identifier: MIT */
/*
 * What a run has come to, at its end:
 *
 *     ! orders: 10,000 items in 5.1 s (1,947/s) -> orders.db, table orders
 *       ok        9,993
 *       failed        7   5 x step 1 (http): status: 404
 *                         2 x step 2 (jq): jq: Cannot iterate over null
 *                         why: weir dead orders   again: weir dead replay orders
 *       attempts 10,212   212 retries, p50 205 ms, p99 432 ms
 *       bottleneck        your concurrency (500)
 *
 * A green tick, a yellow "!" when items failed or the run was stopped, a red cross when it could not go on.  What is 0
 * is left out.
 */
#ifndef CMD_CARD_H
#define CMD_CARD_H

#include "cmd/report.h"
#include "data/terminal.h"

void card_make(const struct report *report, int exit_code, const struct terminal *terminal, struct buf *out);

#endif
