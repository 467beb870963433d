/* SPDX-License-Identifier: MIT */
/*
 * Prefixes are found by walking a short table; the ones asked for most come first because they came first.
 */
#include "stats.h"

#include <inttypes.h>
#include <string.h>

#include "port/buf.h"

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
	const char *comma = "";
	buf_addf(out, "{\"requests\":%" PRIu64 ",\"answers\":%" PRIu64 ",\"limited\":%" PRIu64 ",\"by_status\":{",
		 stats->requests, stats->answers, stats->refusals[MOCK_OVER_LIMIT]);
	for (int i = 0; i < 600; i++)
		if (stats->by_status[i]) {
			buf_addf(out, "%s\"%d\":%" PRIu64, comma, i, stats->by_status[i]);
			comma = ",";
		}
	buf_add_str(out, "},\"faults\":{");
	comma = "";
	for (int i = 0; i < MOCK_FAULT_KINDS; i++)
		if (stats->by_fault[i]) {
			buf_addf(out, "%s\"%s\":%" PRIu64, comma, mock_fault_name((enum mock_fault_kind)i),
				 stats->by_fault[i]);
			comma = ",";
		}
	buf_addf(out,
		 "},\"most_in_window\":%" PRIu64 ",\"in_flight\":{\"now\":%zu,\"max\":%zu,\"refused\":%" PRIu64
		 ",\"queued\":%" PRIu64 "},\"in_outage\":%" PRIu64,
		 stats->meter.most_in_window, capacity->in_flight, capacity->max_in_flight,
		 stats->refusals[MOCK_TOO_MANY_AT_ONCE], capacity->queued, stats->refusals[MOCK_IN_OUTAGE]);
	buf_addf(out,
		 ",\"connections\":{\"now\":%zu,\"max\":%zu,\"accepted\":%" PRIu64 ",\"refused\":%" PRIu64
		 "},\"paths\":{",
		 stats->connections, stats->max_connections, stats->accepted, stats->refused);
	for (size_t i = 0; i < stats->prefixes; i++) {
		buf_add_json_str(out, stats->prefix[i].name, stats->prefix[i].name_bytes);
		buf_addf(out, ":%" PRIu64 ",", stats->prefix[i].requests);
	}
	buf_addf(out, "\"(other)\":%" PRIu64 "}}\n", stats->other);
}
