/* SPDX-License-Identifier: MIT */
/*
 * Numbers as people write them: 10s, 200ms, 64KiB, 50%, 1000/s, 1-1000.  Options, keys of a pipeline and rules of the
 * mock are all read here.  Pure.  A text is the n bytes at `text`, all of it; false when it is none of that.
 */
#ifndef DATA_UNITS_H
#define DATA_UNITS_H

#include <stdbool.h>
#include <weir/base.h>

bool units_duration(const char *text, size_t n, weir_nsec *ret_value);   /* ns us ms s m h d; 0 needs no unit */
bool units_durations(const char *text, size_t n, weir_nsec ret_pair[2]); /* 200ms..30s, or one for both */
bool units_size(const char *text, size_t n, uint64_t *ret_value);  /* nothing or B; KiB..TiB are 1024, KB..TB 1000 */
bool units_share(const char *text, size_t n, double *ret_value);   /* 50% or 0.5: 0 to 1 */
bool units_range(const char *text, size_t n, int64_t ret_pair[2]); /* 1-1000 or 1..1000 */

/* A whole number from `least` to `most`. */
bool units_count(const char *text, size_t n, int64_t least, int64_t most, int64_t *ret_value);

/* 1000/s, 60/m, 3/10s, 0.5/s (1 in 2 s); also 60/min, 60 per minute, 60rpm: a count of 1 to 10^9 in up to 365 days. */
bool units_rate(const char *text, size_t n, uint64_t *ret_count, weir_nsec *ret_period);

/* The shortest way to write them; text has room for 32 bytes and is returned. */
const char *units_duration_text(weir_nsec value, char text[32]);
const char *units_size_text(uint64_t value, char text[32]);
const char *units_rate_text(uint64_t count, weir_nsec period, char text[32]);

/* For people: 1,234,567; 0.8 s, 43 s, 2 m 05 s, 3 h 20 m; 0:14, 1:02:05 of a clock that runs; 12 us, 205 ms, 1.3 s
 * of a latency; a measured rate: 1,250/s, 58/m, 30/h. */
const char *units_number_text(uint64_t n, char text[32]);
const char *units_seconds_text(double seconds, char text[32]);
const char *units_clock_text(weir_nsec time, char text[32]);
const char *units_latency_text(weir_nsec time, char text[32]);
const char *units_per_second_text(double per_sec, char text[32]);

#endif
