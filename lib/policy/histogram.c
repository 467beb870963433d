/* SPDX-License-Identifier: MIT */
/*
 * Values below 64 have a bucket each.  Above, bucket = 64 × (exponent) + the six bits behind the leading one:
 *
 *     value 1xxxxxx… (leading bit at place e >= 6)   ->   64 * (e - 5) + xxxxxx
 */
#include <stdlib.h>
#include <weir/histogram.h>

enum { SUB_BITS = 6, SUB = 1 << SUB_BITS, BUCKETS = (64 - SUB_BITS) * SUB };

struct weir_histogram {
	uint64_t count, sum;
	int64_t max;
	uint64_t buckets[BUCKETS];
};

int weir_histogram_new(struct weir_histogram **ret_histogram)
{
	struct weir_histogram *histogram = calloc(1, sizeof *histogram);
	if (!histogram)
		return WEIR_ENOMEM;
	*ret_histogram = histogram;
	return 0;
}

void weir_histogram_free(struct weir_histogram *histogram)
{
	free(histogram);
}

static size_t bucket_of(uint64_t value)
{
	if (value < SUB)
		return (size_t)value;
	unsigned exponent = 63 - (unsigned)__builtin_clzll(value);
	return (size_t)((exponent - SUB_BITS + 1) * SUB + ((value >> (exponent - SUB_BITS)) & (SUB - 1)));
}

static int64_t upper_end(size_t bucket)
{
	if (bucket < SUB)
		return (int64_t)bucket;
	unsigned shift = (unsigned)(bucket / SUB) - 1;
	uint64_t lower = ((uint64_t)SUB + bucket % SUB) << shift;
	return (int64_t)(lower + ((uint64_t)1 << shift) - 1);
}

void weir_histogram_record(struct weir_histogram *histogram, int64_t value)
{
	if (value < 0)
		value = 0;
	histogram->count++;
	if (__builtin_add_overflow(histogram->sum, (uint64_t)value, &histogram->sum))
		histogram->sum = UINT64_MAX;
	histogram->buckets[bucket_of((uint64_t)value)]++;
	if (value > histogram->max)
		histogram->max = value;
}

uint64_t weir_histogram_count(const struct weir_histogram *histogram)
{
	return histogram->count;
}

int64_t weir_histogram_quantile(const struct weir_histogram *histogram, double q)
{
	uint64_t rank = (uint64_t)(q * (double)histogram->count + 0.5), seen = 0;
	if (rank < 1)
		rank = 1;
	if (rank > histogram->count)
		rank = histogram->count;
	for (size_t i = 0; i < BUCKETS && histogram->count; i++) {
		seen += histogram->buckets[i];
		if (seen >= rank)
			return upper_end(i) < histogram->max ? upper_end(i) : histogram->max;
	}
	return histogram->max;
}

void weir_histogram_cumulate(const struct weir_histogram *histogram, const int64_t *bounds, size_t n,
			     uint64_t *ret_counts)
{
	uint64_t seen = 0;
	size_t bucket = 0;
	for (size_t i = 0; i < n; i++) {
		for (; bounds[i] >= 0 && bucket <= bucket_of((uint64_t)bounds[i]); bucket++)
			seen += histogram->buckets[bucket];
		ret_counts[i] = seen;
	}
}

uint64_t weir_histogram_sum(const struct weir_histogram *histogram)
{
	return histogram->sum;
}

int64_t weir_histogram_max(const struct weir_histogram *histogram)
{
	return histogram->max;
}
