/* SPDX-License-Identifier: MIT */
#include "policy/window.h"

enum { RESULT_FAILED = 1, RESULT_SLOW = 2, RESULT_ERROR = 4 };

static void add(struct weir__tally *sum, const struct weir__tally *tally)
{
	sum->calls += tally->calls;
	sum->failed += tally->failed;
	sum->slow += tally->slow;
	sum->errors += tally->errors;
}

static int64_t bucket_number(const struct weir__window *window, weir_nsec now)
{
	weir_nsec width = window->time / WEIR__BUCKETS;
	return (now > 0 ? now : 0) / (width ? width : 1);
}

struct weir__tally weir__window_sum(const struct weir__window *window, weir_nsec now)
{
	struct weir__tally sum = {0};
	if (window->calls)
		return window->tally;
	int64_t oldest = bucket_number(window, now) - WEIR__BUCKETS + 1;
	for (int i = 0; i < WEIR__BUCKETS; i++)
		if (window->buckets[i].number >= oldest)
			add(&sum, &window->buckets[i].tally);
	return sum;
}

void weir__window_clear(struct weir__window *window)
{
	for (int i = 0; i < WEIR__BUCKETS; i++)
		window->buckets[i] = (struct weir__bucket){0};
	window->tally = (struct weir__tally){0};
	window->next = 0;
}

static void record_in_time(struct weir__window *window, const struct weir__tally *result, weir_nsec now)
{
	int64_t number = bucket_number(window, now);
	struct weir__bucket *bucket = &window->buckets[number % WEIR__BUCKETS];
	if (bucket->number < number)
		*bucket = (struct weir__bucket){.number = number};
	add(&bucket->tally, result);
}

static void record_in_ring(struct weir__window *window, const struct weir__tally *result)
{
	struct weir__tally *sum = &window->tally;
	uint8_t *place = &window->ring[window->next];
	if (sum->calls == window->calls) {
		sum->calls--;
		sum->failed -= (*place & RESULT_FAILED) != 0;
		sum->slow -= (*place & RESULT_SLOW) != 0;
		sum->errors -= (*place & RESULT_ERROR) != 0;
	}
	*place = (uint8_t)((result->failed ? RESULT_FAILED : 0) | (result->slow ? RESULT_SLOW : 0) |
			   (result->errors ? RESULT_ERROR : 0));
	add(sum, result);
	window->next = (window->next + 1) % window->calls;
}

void weir__window_add(struct weir__window *window, const struct weir__tally *result, weir_nsec now)
{
	if (window->calls)
		record_in_ring(window, result);
	else
		record_in_time(window, result, now);
}
