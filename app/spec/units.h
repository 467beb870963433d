/* SPDX-License-Identifier: MIT */
/* Numbers as people write them: 10s, 200ms, 64KiB, 50%, 1-1000.  Pure; false when the text is none of it. */
#ifndef SPEC_UNITS_H
#define SPEC_UNITS_H

#include "port/key.h"

#include <weir/base.h>

bool spec_duration_read(const char *text, weir_nsec *ret_value);   /* us ms s m h d; no unit is only right for 0 */
bool spec_durations_read(const char *text, weir_nsec ret_pair[2]); /* 200ms..30s, or one for both */
bool spec_size_read(const char *text, uint64_t *ret_value);        /* nothing or B; KiB..TiB are 1024, KB..TB 1000 */
bool spec_count_read(const char *text, int64_t *ret_value);
bool spec_percent_read(const char *text, double *ret_value);      /* 50% or 0.5: 0 to 1 */
bool spec_rate_read(const char *text, struct key_rate *ret_rate); /* 1000/s, 60/m, 3/10s; 1 to 10^9 in up to 365 days */
bool spec_range_read(const char *text, int64_t ret_pair[2]);      /* 1-1000 or 1..1000 */

/* The shortest way to write them; text has room for 32 bytes. */
void spec_duration_write(weir_nsec value, char text[32]);
void spec_size_write(uint64_t value, char text[32]);

#endif
