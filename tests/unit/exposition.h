/* SPDX-License-Identifier: MIT */
/* A strict reader of the Prometheus text format 0.0.4 and OpenMetrics 1.0, for tests. */
#ifndef UNIT_EXPOSITION_H
#define UNIT_EXPOSITION_H

#include <stdbool.h>
#include <stddef.h>

/* Fails the test at the first line that is not as the format has it: names, escapes, UTF-8, numbers, order of families,
 * series that occur twice, buckets that fall or disagree with the count.  Returns how many samples there are. */
size_t exposition_check(const char *text, bool openmetrics);

/* Whether one line is exactly this. */
bool exposition_has(const char *text, const char *line);

#endif
