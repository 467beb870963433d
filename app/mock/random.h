/* SPDX-License-Identifier: MIT */
/* The mock's dice: splitmix64 (Steele, Lea, Flood 2014), so that the same seed and order of requests give the same
 * answers.  Not for secrets. */
#ifndef MOCK_RANDOM_H
#define MOCK_RANDOM_H

#include <stdint.h>

static inline uint64_t mock_random(uint64_t *state)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15u);
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

/* From 0 up to, but not, 1. */
static inline double mock_random_unit(uint64_t *state)
{
	return (double)(mock_random(state) >> 11) * 0x1p-53;
}

/* From 0 to n - 1; n is at least 1. */
static inline uint64_t mock_random_below(uint64_t *state, uint64_t n)
{
	return (uint64_t)(((unsigned __int128)mock_random(state) * n) >> 64);
}

#endif
