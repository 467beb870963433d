/* SPDX-License-Identifier: MIT */
#include "engine/fleet_record.h"

#include "data/json.h"
#include "data/json_writer.h"
#include "engine/internal.h"

#include <math.h>
#include <time.h>
#include <unistd.h>
#include <weir/table.h>

/* An upstream counts as called for so long after a call. */
#define OF_LATE (5 * WEIR_SEC)

/* ---- writing */

/* Its entry; of a new one that which was called longest ago is forgotten. */
static struct record_calls *entry_of(struct record_meter *meter, const char *key)
{
	uint64_t upstream = weir_hash_text(0, key);
	struct record_calls *oldest = meter->calls;
	for (size_t i = 0; i < RECORD_UPSTREAMS; i++) {
		if (meter->calls[i].upstream == upstream)
			return &meter->calls[i];
		if (meter->calls[i].at < oldest->at)
			oldest = &meter->calls[i];
	}
	*oldest = (struct record_calls){.upstream = upstream};
	return oldest;
}

static bool is_called(struct record_meter *meter, const char *key, const struct weir_gate_stats *stats)
{
	struct record_calls *entry = entry_of(meter, key);
	if (stats->calls != entry->calls || stats->waiting)
		entry->at = weir_now();
	entry->calls = stats->calls;
	return entry->at + OF_LATE > weir_now();
}

struct record_look {
	struct record_meter *meter;
	struct buf *out;
	size_t n;
};

/* A limit that is not found is of no use to others. */
static int write_upstream(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	struct record_look *look = arg;
	weir_nsec now = weir_now();
	if (!*key || !stats->calls)
		return 0;
	json_open(look->out, key, '{');
	json_put_real(look->out, "limit", stats->adaptive ? stats->snapshot.limit : 0, 1);
	json_put_real(look->out, "per_sec", stats->snapshot.per_sec, 3);
	json_put_real(look->out, "min_latency_ms", (double)stats->snapshot.min_latency / (double)WEIR_MSEC, 3);
	json_put_int(look->out, "shut_ms", stats->word > now ? (stats->word - now) / WEIR_MSEC : 0);
	json_put_bool(look->out, "calls", is_called(look->meter, key, stats));
	json_close(look->out, '}');
	return ++look->n == RECORD_UPSTREAMS;
}

static void measure(struct record_meter *meter, uint64_t settled)
{
	weir_nsec now = weir_now(), passed = now - meter->at;
	if (meter->at && passed < WEIR_SEC / 2)
		return;
	double per_sec = (double)(settled - meter->settled) * (double)WEIR_SEC / (double)passed;
	if (meter->at)
		meter->per_sec = (meter->per_sec + per_sec) / 2;
	meter->at = now;
	meter->settled = settled;
}

static const char *role_of(const struct engine_life *life)
{
	return life->opts.roles == ENGINE_SUBMIT ? "submit" : life->opts.roles == ENGINE_WORK ? "work" : "run";
}

void record_write(const struct engine *engine, struct record_meter *meter, struct buf *out)
{
	const struct broker_accounts *mine = &engine->store.mine;
	const struct item *oldest = TAILQ_FIRST(&engine->store.held);
	weir_nsec had = oldest ? item_ages_of(oldest).taken : 0;
	struct record_look look = {meter, out, 0};
	char host[65] = "";
	gethostname(host, sizeof host - 1);
	meter->since = meter->since ? meter->since : time(NULL);
	measure(meter, mine->succeeded + mine->dropped + mine->dead);
	json_open(out, NULL, '{');
	json_put_text(out, "id", engine->store.owner);
	json_put_text(out, "host", host);
	json_put_int(out, "pid", getpid());
	json_put_text(out, "role", role_of(&engine->life));
	json_put_text(out, "state", engine->pace.paused ? "paused" : engine_state_name(engine->life.state));
	json_put_int(out, "since", meter->since);
	json_put_uint(out, "in_hand", engine->store.held_count);
	json_put_uint(out, "in_flight", engine->load.in_flight);
	json_put_int(out, "oldest_ms", had > 0 ? had / WEIR_MSEC : 0);
	json_put_real(out, "per_sec", meter->per_sec, 1);
	json_put_uint(out, "settled", meter->settled);
	json_open(out, "upstreams", '{');
	weir_policy_gates(engine->pace.policy, write_upstream, &look);
	json_close(out, '}');
	json_close(out, '}');
}

/* ---- reading */

static double positive(const struct json *json, const char *name, double most)
{
	double value = json_member_real(json, name);
	return isfinite(value) && value > 0 ? fmin(value, most) : 0;
}

static struct record_upstream read_upstream(const struct json *json)
{
	const struct json *calls = json_member(json, "calls");
	return (struct record_upstream){
		.known = {.limit = positive(json, "limit", 1e6),
			  .per_sec = positive(json, "per_sec", 1e9),
			  .min_latency = (weir_nsec)(positive(json, "min_latency_ms", 3.6e6) * (double)WEIR_MSEC)},
		.shut = (weir_nsec)(positive(json, "shut_ms", 86400e3) * (double)WEIR_MSEC),
		.is_called = calls && json_type(calls) == JSON_BOOL && json_bool(calls),
	};
}

void record_read(const char *record, const char *own_id,
		 void (*fn)(void *arg, const char *key, const struct record_upstream *upstream), void *arg)
{
	struct json *json = NULL;
	const struct json *name, *value;
	size_t pos = 0, n;
	if (json_parse(record, strlen(record), &json, NULL))
		return;
	const struct json *upstreams = json_member(json, "upstreams");
	bool is_own = !strcmp(json_member_text(json, "id"), own_id);
	while (!is_own && upstreams && (value = json_next(upstreams, &pos, &name))) {
		const struct record_upstream upstream = read_upstream(value);
		fn(arg, json_text(name, &n), &upstream);
	}
	json_free(json);
}
