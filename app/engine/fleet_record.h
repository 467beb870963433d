/* SPDX-License-Identifier: MIT */
/*
 * What a worker of a fleet says of itself, and what is read of that elsewhere.
 *
 *     {"id":"…","host":"db1","pid":4711,"role":"work","state":"running","since":1764572400,"in_hand":12,"in_flight":5,
 *      "oldest_ms":1200,"per_sec":31.5,"settled":1234,"upstreams":{"http://host:80":{"limit":37.2,"per_sec":0,
 *      "min_latency_ms":12.5,"shut_ms":1500,"calls":true}}}
 *
 * id: of the process.  in_hand: items that others do not get while it lives; oldest_ms: the age of the one that it has
 * had for longest.  Of an upstream: what was found out (weir/gate.h, snapshot), for how long the server has said to
 * this worker to stay away, and whether it is called at present.
 */
#ifndef ENGINE_FLEET_RECORD_H
#define ENGINE_FLEET_RECORD_H

#include "data/buf.h"

#include <time.h>
#include <weir/gate.h>

struct engine;

enum { RECORD_UPSTREAMS = 32 }; /* more of them are not spoken of */

/* From one record to the next. */
struct record_meter {
	time_t since; /* the first */
	weir_nsec at;
	uint64_t settled;
	double per_sec;
	struct record_calls {
		uint64_t upstream; /* its key, hashed */
		uint64_t calls;
		weir_nsec at; /* of the last */
	} calls[RECORD_UPSTREAMS];
};

void record_write(const struct engine *engine, struct record_meter *meter, struct buf *out);

struct record_upstream {
	struct weir_snapshot known; /* all but `paid` */
	weir_nsec shut;             /* for so long; 0: it is not */
	bool is_called;
};

/* Calls fn for each upstream in a record, unless it is that of the process `own_id`.  What cannot be read is passed
 * over.
 */
void record_read(const char *record, const char *own_id,
		 void (*fn)(void *arg, const char *key, const struct record_upstream *upstream), void *arg);

#endif
