/* SPDX-License-Identifier: MIT */
/* What the limits reckon with: floating point numbers, times in seconds. */
#ifndef POLICY_RECKON_H
#define POLICY_RECKON_H

#include <weir/base.h>

static inline double least_of(double a, double b)
{
	return a < b ? a : b;
}

static inline double most_of(double a, double b)
{
	return a > b ? a : b;
}

/* Of nothing and less: 0. */
static inline double root(double value)
{
	return value > 0 ? __builtin_sqrt(value) : 0;
}

static inline double seconds(weir_nsec time)
{
	return (double)time / 1e9;
}

/* Eleven days at most. */
static inline weir_nsec nsec(double time)
{
	return (weir_nsec)(least_of(time, 1e6) * 1e9);
}

#endif
