/* SPDX-License-Identifier: MIT */
/* What a mock has seen so far: for its last line, for GET /stats, for tests.  Every table is bounded. */
#ifndef MOCK_STATS_H
#define MOCK_STATS_H

#include "capacity.h"
#include "fault.h"
#include "meter.h"

struct buf;

enum { MOCK_PREFIXES = 64, MOCK_PREFIX_BYTES = 32 };

struct mock_stats {
	uint64_t requests; /* without those for /stats */
	uint64_t answers;  /* decided on; of those with a status */
	uint64_t by_status[600];
	uint64_t by_fault[MOCK_FAULT_KINDS];
	uint64_t refusals[MOCK_OVER_LIMIT + 1];
	struct mock_meter meter;
	size_t connections, max_connections;
	uint64_t accepted, refused; /* refused: over --max-connections, or for want of descriptors */
	size_t prefixes;
	struct mock_prefix {
		char name[MOCK_PREFIX_BYTES + 1]; /* the path's first part, slash included */
		size_t name_bytes;
		uint64_t requests;
	} prefix[MOCK_PREFIXES];
	uint64_t other; /* requests whose prefix is too long, or came when the table was full */
};

void mock_stats_request(struct mock_stats *stats, struct mock_span path);
void mock_stats_answer(struct mock_stats *stats, int status);

/* As one JSON object. */
void mock_stats_write(const struct mock_stats *stats, const struct mock_capacity *capacity, struct buf *out);

#endif
