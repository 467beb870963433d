/* SPDX-License-Identifier: MIT */
/*
 * Small random numbers for schedules, jitter and tests, not for secrets: splitmix64 (Steele, Lea, Flood 2014).  The
 * state is one word, the caller's; any value will do as a seed, and the same seed gives the same numbers.
 */
#ifndef WEIR_RANDOM_H
#define WEIR_RANDOM_H

#include <weir/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* 64 random bits. */
static inline uint64_t weir_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* From 0 up to, but not, 1. */
static inline double weir_random_unit(uint64_t *state)
{
	return (double)(weir_random(state) >> 11) * 0x1p-53;
}

/* From 0 to n - 1; n is at least 1.  (The bias is n / 2^64: none that could be seen.) */
static inline uint64_t weir_random_below(uint64_t *state, uint64_t n)
{
	__extension__ unsigned __int128 product = (unsigned __int128)weir_random(state) * n;
	return (uint64_t)(product >> 64);
}

#ifdef __cplusplus
}
#endif
#endif
