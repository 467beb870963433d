/* SPDX-License-Identifier: MIT */
/*
 * Prefixes are found by walking a short table; the ones asked for most come first because they came first.
 */
#include "stats.h"

#include <stdio.h>
#include <string.h>

#include "data/json_writer.h"

void mock_stats_request(struct mock_stats *stats, struct mock_span path)
{
	const char *slash = path.n > 1 ? memchr(path.at + 1, '/', path.n - 1) : NULL;
	size_t n = slash ? (size_t)(slash - path.at) : path.n;
	stats->requests++;
	for (size_t i = 0; i < stats->prefixes; i++) {
		struct mock_prefix *prefix = &stats->prefix[i];
		if (prefix->name_bytes == n && !memcmp(prefix->name, path.at, n)) {
			prefix->requests++;
			return;
		}
	}
	if (n > MOCK_PREFIX_BYTES || stats->prefixes == MOCK_PREFIXES) {
		stats->other++;
		return;
	}
	struct mock_prefix *prefix = &stats->prefix[stats->prefixes++];
	memcpy(prefix->name, path.at, n);
	prefix->name[n] = 0;
	prefix->name_bytes = n;
	prefix->requests = 1;
}

void mock_stats_answer(struct mock_stats *stats, int status)
{
	stats->answers++;
	stats->by_status[status]++;
}

void mock_stats_write(const struct mock_stats *stats, const struct mock_capacity *capacity, struct buf *out)
{
	json_open(out, NULL, '{');
	json_put_uint(out, "requests", stats->requests);
	json_put_uint(out, "answers", stats->answers);
	json_put_uint(out, "limited", stats->refusals[MOCK_OVER_LIMIT]);
	json_open(out, "by_status", '{');
	for (int i = 0; i < 600; i++) {
		char status[16];
		snprintf(status, sizeof status, "%d", i);
		if (stats->by_status[i])
			json_put_uint(out, status, stats->by_status[i]);
	}
	json_close(out, '}');
	json_open(out, "faults", '{');
	for (int i = 0; i < MOCK_FAULT_KINDS; i++)
		if (stats->by_fault[i])
			json_put_uint(out, mock_fault_name((enum mock_fault_kind)i), stats->by_fault[i]);
	json_close(out, '}');
	json_put_uint(out, "most_in_window", stats->meter.most_in_window);
	json_open(out, "in_flight", '{');
	json_put_uint(out, "now", capacity->in_flight);
	json_put_uint(out, "max", capacity->max_in_flight);
	json_put_uint(out, "refused", stats->refusals[MOCK_TOO_MANY_AT_ONCE]);
	json_put_uint(out, "queued", capacity->queued);
	json_close(out, '}');
	json_put_uint(out, "in_outage", stats->refusals[MOCK_IN_OUTAGE]);
	json_open(out, "connections", '{');
	json_put_uint(out, "now", stats->connections);
	json_put_uint(out, "max", stats->max_connections);
	json_put_uint(out, "accepted", stats->accepted);
	json_put_uint(out, "refused", stats->refused);
	json_close(out, '}');
	json_open(out, "paths", '{');
	for (size_t i = 0; i < stats->prefixes; i++)
		json_put_uint(out, stats->prefix[i].name, stats->prefix[i].requests);
	json_put_uint(out, "(other)", stats->other);
	buf_add_str(out, "}}\n");
}
