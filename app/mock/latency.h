/* SPDX-License-Identifier: MIT */
/*
 * How long answers take: a fixed time (`200ms`), a range (`10ms..300ms`, uniform), a mixture of both
 * (`90%:10ms..50ms,10%:1s..3s`), or times that were observed somewhere (`@FILE`, one a line, drawn at random).
 * Pure but for reading the file.
 */
#ifndef MOCK_LATENCY_H
#define MOCK_LATENCY_H

#include <weir/base.h>

enum { MOCK_LATENCY_PARTS = 16, MOCK_LATENCY_OBSERVED = 1000000 };

struct mock_latency {
	size_t parts;
	struct mock_latency_part {
		double up_to; /* this part and those before it, of 1 */
		weir_nsec low, high;
	} part[MOCK_LATENCY_PARTS];
	weir_nsec *observed; /* NULL: the parts count */
	size_t observed_items, observed_room;
};

/* WEIR_EINVAL, or what the system says of the file, with err->text; WEIR_ENOMEM. */
int mock_latency_parse(const char *text, struct mock_latency *ret_latency, struct weir_error *err);
void mock_latency_fini(struct mock_latency *latency);

weir_nsec mock_latency_draw(const struct mock_latency *latency, uint64_t *random);

#endif
