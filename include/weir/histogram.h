/* SPDX-License-Identifier: MIT */
/*
 * A histogram of durations or sizes, for percentiles: log-linear, 64 buckets to each power of two, so a quantile is
 * right to 1.6 %, from 0 to 2^63.  32 KiB, recording costs a few instructions, nothing is ever sampled away. (The
 * bucketing is that of HdrHistogram, G. Tene.)  A plain object without locks: one thread at a time.
 */
#ifndef WEIR_HISTOGRAM_H
#define WEIR_HISTOGRAM_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

struct weir_histogram;

WEIR_API int weir_histogram_new(struct weir_histogram **ret_histogram); /* WEIR_ENOMEM */
WEIR_API void weir_histogram_free(struct weir_histogram *histogram);    /* NULL is fine */

/* Counts one value; a negative one counts as 0. */
WEIR_API void weir_histogram_record(struct weir_histogram *histogram, int64_t value);

WEIR_API uint64_t weir_histogram_count(const struct weir_histogram *histogram);

/* The value below or at which a share q (0 to 1) of all values lies: the upper end of its bucket, never over the
 * largest value recorded.  0 if there is none. */
WEIR_API int64_t weir_histogram_quantile(const struct weir_histogram *histogram, double q);

/* For each of n rising bounds, how many values lie at or below it.  A value in the bound's own bucket counts as below,
 * so this, too, is right to 1.6 %. */
WEIR_API void weir_histogram_cumulate(const struct weir_histogram *histogram, const int64_t *bounds, size_t n,
				      uint64_t *ret_counts);

/* The sum of all values, exactly; 2^64 - 1 if it is more. */
WEIR_API uint64_t weir_histogram_sum(const struct weir_histogram *histogram);

/* The largest value, exactly; 0 if there is none. */
WEIR_API int64_t weir_histogram_max(const struct weir_histogram *histogram);

#ifdef __cplusplus
}
#endif
#endif
