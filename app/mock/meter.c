/* SPDX-License-Identifier: MIT */
/* The window is one of 1,000 cells of a millisecond: a burst at its edge may be counted in a window that is up to a
 * millisecond shorter than a second, never in a longer one. */
#include "meter.h"

#include <string.h>

#include "data/json_writer.h"

/* Forgets what is a second old by then. */
static void move_on(struct mock_meter *meter, int64_t ms)
{
	if (ms - meter->now_ms >= MOCK_METER_CELLS) {
		memset(meter->cells, 0, sizeof meter->cells);
		meter->in_window = 0;
		meter->now_ms = ms;
	}
	while (meter->now_ms < ms) {
		uint32_t *cell = &meter->cells[++meter->now_ms % MOCK_METER_CELLS];
		meter->in_window -= *cell;
		*cell = 0;
	}
}

void mock_meter_add(struct mock_meter *meter, bool refused, weir_nsec now)
{
	if (!meter->begun) {
		meter->begun = true;
		meter->began = now;
	}
	move_on(meter, (now - meter->began) / WEIR_MSEC);
	meter->cells[meter->now_ms % MOCK_METER_CELLS]++;
	if (++meter->in_window > meter->most_in_window)
		meter->most_in_window = meter->in_window;
	size_t second = (size_t)(meter->now_ms / 1000);
	if (second >= MOCK_METER_SECONDS)
		return;
	meter->seconds_used = second + 1;
	meter->seconds[second].requests++;
	meter->seconds[second].refused += refused;
}

void mock_meter_write(const struct mock_meter *meter, struct buf *out)
{
	json_open(out, NULL, '{');
	json_open(out, "requests", '[');
	for (size_t i = 0; i < meter->seconds_used; i++)
		json_put_uint(out, NULL, meter->seconds[i].requests);
	json_close(out, ']');
	json_open(out, "refused", '[');
	for (size_t i = 0; i < meter->seconds_used; i++)
		json_put_uint(out, NULL, meter->seconds[i].refused);
	buf_add_str(out, "]}\n");
}
