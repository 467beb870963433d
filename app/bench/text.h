/* SPDX-License-Identifier: MIT */
/* Figures as people read them.  Each writes into the caller's bytes, 32 but for a range, and returns
 * them. */
#ifndef BENCH_TEXT_H
#define BENCH_TEXT_H

#include <weir/base.h>

const char *bench_text_count(double value, char text[static 32]);  /* 8,247; 33.2 below 100; "any"; "-" below 0 */
const char *bench_text_time(weir_nsec time, char text[static 32]); /* 47 ms, 2.34 s, 5.2 days; "-" below 0 */
const char *bench_text_range(weir_nsec low, weir_nsec high, char text[static 64]); /* 10 ms to 3 s; 20 ms */
const char *bench_text_took(weir_nsec time, char text[static 32]);                 /* with four digits: 30.12 s */
const char *bench_text_bytes(double bytes, char text[static 32]);   /* 839,176 B up to a million; 47.1 MB */
const char *bench_text_percent(double share, char text[static 32]); /* 34 %; "-" below 0 */

#endif
