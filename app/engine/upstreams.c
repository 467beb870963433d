/* SPDX-License-Identifier: MIT */
/*
 * What is known of the upstreams, kept for the next run: `upstreams.json` in the state folder.
 *
 *     {"version":1,"boot":"…","upstreams":{"http://host:80":{"limit":37.2,"per_sec":0,"min_latency_ms":12.5,
 *      "boot_s":5021.204113,"unix_s":1700000000.204113}}}
 *
 * The first three are what was found out.  They are only a hint: written at the end of a run and every minute, so that
 * a kill costs a minute of knowledge.
 *
 * The times are what `flow.rate` has let through: when all that has passed is paid off (weir_rate_paid), which is all
 * there is to know of a rate; an upstream that owes nothing has none.  They are written ahead: a gate lets calls in
 * only as far as the file has it already.
 *
 *     a call wants more than is granted --> wanted --> file written and synced, so much further --> granted
 *
 * So a kill at any moment costs what was granted and not used, two seconds of the rate or a quarter of the burst, and a
 * run that is started again exceeds nothing.  As long as calls are made the file is ahead by half of that, so that none
 * waits for a disk.  A run that ends by itself writes what it really used.
 *
 * Times are of the clock that goes on while the machine sleeps, and of the wall if the machine was started since.  Of a
 * clock that has jumped a gate believes no more than its burst (weir_rate_owe).
 *
 * A file that is damaged is announced and left out.  An upstream that this run did not speak to keeps its line, as long
 * as there are few.
 */
#include "engine/parts.h"

#include "data/json_writer.h"
#include "state/kept_file.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <weir/table.h>
#include <weir/weir.h>

/* In the file; half of them may be of earlier runs. */
enum { UPSTREAMS_MOST = 10000 };

#define LOOK_PERIOD  (500 * WEIR_MSEC)
#define WRITE_PERIOD (60 * WEIR_SEC)
#define AHEAD        (2 * WEIR_SEC)

struct upstream {
	struct weir_table_node node; /* first */
	struct weir_snapshot known;  /* paid: as far as the file has it */
	uint64_t calls;              /* that `paid` is known for */
	bool wants;
	char key[];
};

struct upstreams {
	const struct engine_life *life;
	struct weir_policy *policy;
	struct weir_table all;
	struct kept_file file;
	struct weir_event *wanted;
	struct weir_sem *turn; /* to write: one at a time */
	bool is_over;          /* what was used up is written: nothing more is granted */
	char boot[64];
	bool has_failed; /* to write, which was said */
};

/* ---- clocks */

/* What turns a time of weir_now()'s clock into one of that clock. */
static weir_nsec offset(clockid_t clock)
{
	struct timespec there, here;
	clock_gettime(clock, &there);
	clock_gettime(CLOCK_MONOTONIC, &here);
	return (there.tv_sec - here.tv_sec) * WEIR_SEC + (there.tv_nsec - here.tv_nsec);
}

static void read_boot(char boot[64])
{
	FILE *file = fopen("/proc/sys/kernel/random/boot_id", "re");
	if (!file || fscanf(file, "%63[0-9a-f-]", boot) != 1)
		boot[0] = 0;
	if (file)
		fclose(file);
}

/* ---- one of them */

static struct upstream *next(const struct upstreams *self, const struct upstream *before)
{
	return (struct upstream *)weir_table_next(&self->all, before ? &before->node : NULL);
}

/* Finds it, or makes it unless there are `most`; NULL: no memory, or there are. */
static struct upstream *keep(struct upstreams *self, const char *key, size_t most)
{
	uint64_t hash = weir_hash_text(0, key);
	struct weir_table_node *node = weir_table_find(&self->all, hash);
	while (node && strcmp(((struct upstream *)node)->key, key) != 0)
		node = weir_table_again(node);
	if (node || self->all.n >= most || weir_table_reserve(&self->all))
		return (struct upstream *)node;
	size_t bytes = strlen(key) + 1;
	struct upstream *upstream = calloc(1, sizeof *upstream + bytes);
	if (!upstream)
		return NULL;
	memcpy(upstream->key, key, bytes);
	weir_table_add(&self->all, &upstream->node, hash);
	return upstream;
}

static bool is_sane(const struct weir_snapshot *known)
{
	return isfinite(known->limit) && known->limit >= 0 && known->limit <= 1e6 && isfinite(known->per_sec) &&
	       known->per_sec >= 0 && known->per_sec <= 1e9 && known->min_latency >= 0 &&
	       known->min_latency <= 3600 * WEIR_SEC;
}

/* ---- reading */

static bool take_all(struct upstreams *self, const struct json *json)
{
	const struct json *upstreams = json_member(json, "upstreams"), *name, *value;
	size_t pos = 0, len;
	if (!upstreams || json_type(upstreams) != JSON_OBJECT || json_member_real(json, "version") != 1)
		return false;
	bool same_boot = *self->boot && !strcmp(json_member_text(json, "boot"), self->boot);
	weir_nsec back = offset(same_boot ? CLOCK_BOOTTIME : CLOCK_REALTIME);
	while ((value = json_next(upstreams, &pos, &name))) {
		const char *time = same_boot ? "boot_s" : "unix_s";
		double min_latency_ms = json_member_real(value, "min_latency_ms");
		double at = json_member(value, time) ? json_member_real(value, time) : 0;
		struct weir_snapshot known = {.limit = json_member_real(value, "limit"),
					      .per_sec = json_member_real(value, "per_sec")};
		if (!(at >= 0 && at < 1e10 && min_latency_ms >= 0 && min_latency_ms < 1e9))
			return false;
		known.min_latency = (weir_nsec)(min_latency_ms * (double)WEIR_MSEC);
		known.paid = at > 0 ? (weir_nsec)(at * (double)WEIR_SEC) - back : 0;
		if (!is_sane(&known))
			return false;
		struct upstream *upstream = keep(self, json_text(name, &len), UPSTREAMS_MOST / 2);
		if (upstream)
			upstream->known = known;
	}
	return true;
}

static void forget_all(struct upstreams *self)
{
	for (struct upstream *upstream = next(self, NULL), *after; upstream; upstream = after) {
		after = next(self, upstream);
		free(upstream);
	}
	weir_table_fini(&self->all);
	self->all = (struct weir_table){0};
}

static void read_all(struct upstreams *self)
{
	bool absent;
	struct json *json = kept_file_read(&self->file, &absent);
	if (!absent && !(json && take_all(self, json))) {
		forget_all(self);
		engine_note(self->life,
			    "%s is damaged: the limits that an earlier run found, and the calls it made, are ignored",
			    self->file.path);
	}
	json_free(json);
}

/* ---- writing */

static void write_text(const struct upstreams *self, bool *ret_owes, struct buf *out)
{
	weir_nsec now = weir_now(), boot = offset(CLOCK_BOOTTIME), wall = offset(CLOCK_REALTIME);
	json_open(out, NULL, '{');
	json_put_uint(out, "version", 1);
	json_put_text(out, "boot", self->boot);
	json_open(out, "upstreams", '{');
	for (const struct upstream *upstream = next(self, NULL); upstream; upstream = next(self, upstream)) {
		const struct weir_snapshot *known = &upstream->known;
		int64_t boot_us = (known->paid + boot + WEIR_USEC - 1) / WEIR_USEC;
		int64_t wall_us = (known->paid + wall + WEIR_USEC - 1) / WEIR_USEC;
		json_open(out, upstream->key, '{');
		json_put_real(out, "limit", known->limit, 1);
		json_put_real(out, "per_sec", known->per_sec, 3);
		json_put_real(out, "min_latency_ms", (double)known->min_latency / (double)WEIR_MSEC, 3);
		if (known->paid > now) {
			json_put_real(out, "boot_s", (double)boot_us / 1e6, 6);
			json_put_real(out, "unix_s", (double)wall_us / 1e6, 6);
			*ret_owes = true;
		}
		json_close(out, '}');
	}
	buf_add_str(out, "}}\n");
}

/* Without a debt it is only a hint: then nothing waits for the disk, and a failure is none. */
static void write_all(struct upstreams *self)
{
	struct buf text = {0};
	bool owes = false;
	write_text(self, &owes, &text);
	int code = self->all.n ? kept_file_write(&self->file, &text, owes) : 0;
	buf_fini(&text);
	if (!code || !owes || self->has_failed)
		return;
	engine_note(self->life, "cannot write %s (%s): after a crash the rate limit may be exceeded", self->file.path,
		    weir_strerror(code));
	self->has_failed = true;
}

/* What was found out; of a limit that is not searched for nothing new is. */
static void learn(struct upstream *upstream, const struct weir_gate_stats *stats)
{
	struct weir_snapshot news = stats->snapshot;
	news.paid = upstream->known.paid;
	if (!stats->adaptive)
		news.limit = upstream->known.limit;
	if (is_sane(&news))
		upstream->known = news;
}

/* How far the file is to be ahead: so many calls. */
static weir_nsec ahead_of(const struct weir_rate_options *rate)
{
	double each = (double)rate->period / (double)rate->count;
	double calls = fmax(1, fmax((double)AHEAD / each, (double)rate->burst / 4));
	return (weir_nsec)ceil(calls * each) + 1;
}

struct upstreams_look {
	struct upstreams *upstreams;
	bool learns; /* what was found out, too */
	bool wants;
};

static int look_at(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	struct upstreams_look *look = arg;
	weir_nsec now = weir_now(), ahead = stats->own.count ? ahead_of(&stats->own) : 0;
	bool learns = look->learns && stats->calls && *key;
	struct upstream *upstream = ahead || learns ? keep(look->upstreams, key, UPSTREAMS_MOST) : NULL;
	if (upstream && learns)
		learn(upstream, stats);
	if (!upstream && ahead)
		weir_policy_grant(look->upstreams->policy, key, INT64_MAX); /* there is no place to write it */
	if (!upstream || !ahead)
		return 0;
	weir_nsec from = stats->snapshot.paid > now ? stats->snapshot.paid : now;
	bool is_low = stats->calls != upstream->calls && stats->granted < from + ahead / 2;
	upstream->calls = stats->calls;
	upstream->wants = stats->is_wanting || is_low;
	if (upstream->wants)
		upstream->known.paid = from + ahead;
	look->wants = look->wants || upstream->wants;
	return 0;
}

/* Writes what is wanted, and only then grants it. */
static void renew(struct upstreams *self, bool learns)
{
	struct upstreams_look look = {.upstreams = self, .learns = learns};
	if (self->is_over)
		return;
	weir_policy_gates(self->policy, look_at, &look);
	if (look.wants || learns)
		write_all(self);
	for (struct upstream *upstream = next(self, NULL); upstream && look.wants; upstream = next(self, upstream))
		if (upstream->wants)
			weir_policy_grant(self->policy, upstream->key, upstream->known.paid);
}

int engine_keep_upstreams(void *arg)
{
	struct upstreams *self = arg;
	weir_nsec due = weir_after(WRITE_PERIOD);
	while (weir_event_wait(self->wanted, weir_after(LOOK_PERIOD)) != WEIR_ECANCELED) {
		bool is_due = weir_now() >= due;
		weir_event_clear(self->wanted);
		if (weir_sem_acquire(self->turn, 1, WEIR_FOREVER))
			return 0;
		renew(self, is_due);
		weir_sem_release(self->turn, 1);
		if (is_due)
			due = weir_after(WRITE_PERIOD);
	}
	return 0;
}

static int take_used(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	bool learns = stats->calls && *key;
	struct upstream *upstream = keep(arg, key, learns ? UPSTREAMS_MOST : 0);
	if (upstream && stats->snapshot.paid < upstream->known.paid)
		upstream->known.paid = stats->snapshot.paid;
	if (upstream && learns)
		learn(upstream, stats);
	return 0;
}

void engine_upstreams_write(struct upstreams *self)
{
	if (!self)
		return;
	weir_shield_enter();
	weir_sem_acquire(self->turn, 1, WEIR_FOREVER);
	self->is_over = true;
	weir_policy_gates(self->policy, take_used, self);
	write_all(self);
	weir_sem_release(self->turn, 1);
	weir_shield_leave();
}

/* ---- life */

void engine_upstreams_wanted(void *arg)
{
	struct upstreams *self = arg;
	weir_event_set(self->wanted);
}

/* Nobody asks before the policy is told. */
void engine_upstreams_recall(struct upstreams *self, struct weir_policy *policy)
{
	if (!self)
		return;
	self->policy = policy;
	for (struct upstream *upstream = next(self, NULL); upstream; upstream = next(self, upstream))
		weir_policy_recall(policy, upstream->key, &upstream->known);
}

void engine_upstreams_free(struct upstreams *self)
{
	if (!self)
		return;
	forget_all(self);
	kept_file_fini(&self->file);
	weir_event_free(self->wanted);
	weir_sem_free(self->turn);
	free(self);
}

int engine_upstreams_open(const struct engine_life *life, struct upstreams **ret_upstreams)
{
	struct upstreams *self = life->opts.state ? calloc(1, sizeof *self) : NULL;
	if (!life->opts.state)
		return 0;
	if (!self || kept_file_init(&self->file, life->opts.state, "upstreams.json") || weir_event_new(&self->wanted) ||
	    weir_sem_new(1, &self->turn)) {
		engine_upstreams_free(self);
		return WEIR_ENOMEM;
	}
	self->life = life;
	read_boot(self->boot);
	read_all(self);
	*ret_upstreams = self;
	return 0;
}
