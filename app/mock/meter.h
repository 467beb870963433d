/* SPDX-License-Identifier: MIT */
/*
 * When requests came: how many in each second since the first, and the most in any window of a second.  So that a test
 * can say whether a client keeps to a rate, and how it takes a change.  Pure: the time is passed in.
 */
#ifndef MOCK_METER_H
#define MOCK_METER_H

#include <weir/base.h>

struct buf;

enum { MOCK_METER_CELLS = 1000, MOCK_METER_SECONDS = 3600 };

struct mock_meter {
	bool begun;
	weir_nsec began;
	int64_t now_ms;                   /* of the last request, since the first */
	uint32_t cells[MOCK_METER_CELLS]; /* requests of the last 1000 ms, each in its place modulo 1000 */
	uint64_t in_window, most_in_window;
	struct mock_meter_second {
		uint32_t requests, refused;
	} seconds[MOCK_METER_SECONDS]; /* of the first hour */
	size_t seconds_used;
};

void mock_meter_add(struct mock_meter *meter, bool refused, weir_nsec now);

/* {"requests":[…],"refused":[…]}, a number for each second. */
void mock_meter_write(const struct mock_meter *meter, struct buf *out);

#endif
