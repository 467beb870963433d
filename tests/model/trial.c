/* SPDX-License-Identifier: MIT */
#include "model/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weir/random.h>

enum outcome outcome_of(const struct world *world, unsigned item)
{
	uint64_t hash = (item * 2654435761u + world->salt) % 100;
	return world->poison[item] ? KILLS : hash < 6 ? DIES : hash < 12 ? DROPS : SUCCEEDS;
}

unsigned failures_of(const struct world *world, unsigned item)
{
	return (item + world->salt) % 7 || world->poison[item] ? 0 : (unsigned)((item * 40503u + world->salt) % 5);
}

static double one_of(struct world *world, double a, double b, double c)
{
	uint64_t which = below(world, 3);
	return which == 0 ? a : which == 1 ? b : c;
}

static void name_keys(struct world *world)
{
	static const char *const keys[] = REDIS_KEYS;
	const size_t n = sizeof keys / sizeof *keys;
	world->key_count = n + (world->setup->classes ? CLASSES : 1);
	redis_add_number(&world->key_words, (int64_t)world->key_count);
	for (size_t i = 0; i < world->key_count; i++) {
		char *key = world->keys[i];
		if (i < n)
			snprintf(key, sizeof world->keys[i], "weir:{m%" PRIu64 "}:%s", world->seed, keys[i]);
		else
			snprintf(key, sizeof world->keys[i], "weir:{m%" PRIu64 "}:fresh:%zu", world->seed, i - n);
		redis_add_text(&world->key_words, key);
	}
}

/* Of this queue, and its clock. */
static void clear_keys(struct world *world)
{
	struct redis_command command = {0};
	char clock[64];
	snprintf(clock, sizeof clock, "%s:clock", world->keys[0]);
	redis_add_text(&command, "DEL");
	redis_add_text(&command, clock);
	for (size_t i = 0; i < world->key_count; i++)
		redis_add_text(&command, world->keys[i]);
	freeReplyObject(model_say(world, &command));
	redis_command_fini(&command);
}

static void begin_world(struct world *world, const struct trial *trial)
{
	const struct setup *setup = trial->setup;
	*world = (struct world){.setup = setup,
				.scripts = trial->scripts,
				.redis = trial->redis,
				.seed = trial->seed,
				.random = trial->seed};
	STAILQ_INIT(&world->late_calls);
	if (weir_group_new(NULL, &world->fibers) || weir_event_new(&world->back))
		abort();
	world->salt = below(world, 1000000);
	world->items = 20 + (unsigned)below(world, 41);
	world->slots = 1 + (unsigned)below(world, SLOTS_MOST);
	world->most = (unsigned)one_of(world, 8, 20, 100);
	world->lease = (weir_nsec)one_of(world, 2, 4, 12) * WEIR_SEC;
	if (setup->poison) /* so long that nobody who is alive is taken out, which would be a death, too */
		world->lease = 12 * WEIR_SEC;
	world->deaths = setup->poison ? 5 : 1000;
	world->lost_requests = one_of(world, 0, .02, .1);
	world->lost_answers = one_of(world, 0, .02, .1);
	world->late = one_of(world, 0, .02, .1);
	world->kills = setup->poison ? 0 : one_of(world, 0, .001, .004);
	world->stalls = setup->poison ? 0 : one_of(world, 0, .002, .01);
	for (uint64_t n = setup->poison ? 1 + below(world, 2) : 0; n; n--)
		world->poison[1 + below(world, world->items)] = true;
	name_keys(world);
	clear_keys(world);
}

static void add_process(struct world *world, bool submits)
{
	struct process *process = calloc(1, sizeof *process);
	*process = (struct process){.world = world,
				    .id = ++world->process_ids,
				    .submits = submits,
				    .epoch = (weir_nsec)below(world, 1000000) * WEIR_SEC};
	if (weir_event_new(&process->go))
		abort();
	world->processes[world->process_count++] = process;
	weir_group_spawn(world->fibers, submits ? model_submit : model_worker, process, WEIR_FOREVER);
	weir_event_wait(world->back, WEIR_FOREVER); /* it stands before its first step */
	weir_event_clear(world->back);
}

static void step(struct process *process)
{
	weir_event_set(process->go);
	weir_event_wait(process->world->back, WEIR_FOREVER);
	weir_event_clear(process->world->back);
}

/* Its fiber ends; what it was at is not done. */
static void remove_process(struct world *world, size_t i)
{
	struct process *process = world->processes[i];
	process->killed = true;
	while (!process->ended)
		step(process);
	world->processes[i] = world->processes[--world->process_count];
	weir_yield(); /* the fiber leaves the event */
	weir_event_free(process->go);
	fleet_watch_free(process->watch);
	free(process);
}

/* ---- trouble */

static void take_snapshot(struct world *world)
{
	for (size_t i = 0; i < world->key_count; i++) {
		redisReply *dump = MODEL_SAY(world, "DUMP", world->keys[i]);
		free(world->dumps[i]);
		world->dumps[i] = NULL;
		if (dump && dump->type == REDIS_REPLY_STRING) {
			world->dumps[i] = malloc(dump->len + 1);
			memcpy(world->dumps[i], dump->str, dump->len);
			world->dump_bytes[i] = dump->len;
		}
		freeReplyObject(dump);
	}
	world->has_snapshot = true;
}

/* A failover to a replica that lacks the last writes; all connect again. */
static void roll_back(struct world *world)
{
	struct redis_command command = {0};
	for (size_t i = 0; i < world->key_count; i++) {
		freeReplyObject(MODEL_SAY(world, "DEL", world->keys[i]));
		if (!world->dumps[i])
			continue;
		redis_command_clear(&command);
		redis_add_text(&command, "RESTORE");
		redis_add_text(&command, world->keys[i]);
		redis_add_text(&command, "0");
		redis_add(&command, world->dumps[i], world->dump_bytes[i]);
		freeReplyObject(model_say(world, &command));
	}
	redis_command_fini(&command);
	for (size_t i = 0; i < world->process_count; i++)
		fleet_share_connected(&world->processes[i]->share, model_clock(world->processes[i]));
	world->stats.rollbacks++;
	world->forgets = true;
}

static void be_strange(struct world *world)
{
	const char *key = world->keys[FIRST_STREAM + below(world, world->key_count - FIRST_STREAM)];
	world->stats.strange++;
	if (!below(world, 4)) {
		freeReplyObject(MODEL_SAY(world, "XGROUP", "DESTROY", key, "w"));
		world->forgets = true;
		return;
	}
	if (!world->process_count)
		return;
	const struct process *victim = world->processes[below(world, world->process_count)];
	freeReplyObject(MODEL_SAY(world, "XGROUP", "DELCONSUMER", key, "w", victim->name));
}

static void jump(struct world *world)
{
	char clock[64];
	snprintf(clock, sizeof clock, "%s:clock", world->keys[0]);
	freeReplyObject(MODEL_SAY(world, "INCRBY", clock, below(world, 2) ? "3600000" : "-3600000"));
	world->stats.strange++;
}

static void make_trouble(struct world *world)
{
	const struct setup *setup = world->setup;
	if (chance(world, world->kills) && world->process_count) {
		remove_process(world, below(world, world->process_count));
		world->stats.kills++;
	}
	if (chance(world, world->stalls) && world->process_count)
		world->processes[below(world, world->process_count)]->stalled = 50 + (unsigned)below(world, 2000);
	if (setup->rollback && chance(world, .003))
		take_snapshot(world);
	else if (setup->rollback && world->has_snapshot && !world->end_seen && chance(world, .0015))
		roll_back(world);
	if (setup->stranger && chance(world, .001))
		be_strange(world);
	if (setup->clock && chance(world, .001))
		jump(world);
}

static void run_late_calls(struct world *world)
{
	struct late_call *late, *next;
	for (late = STAILQ_FIRST(&world->late_calls); late; late = next) {
		next = STAILQ_NEXT(late, next);
		if (late->at > world->tick)
			continue;
		STAILQ_REMOVE(&world->late_calls, late, late_call, next);
		freeReplyObject(late->script == REDIS_SCRIPTS ? model_say(world, &late->rest)
							      : model_eval(world, late->script, &late->rest));
		world->stats.late++;
		redis_command_fini(&late->rest);
		free(late);
	}
}

/* ---- the course */

static size_t count(const struct world *world, bool submits)
{
	size_t n = 0;
	for (size_t i = 0; i < world->process_count; i++)
		n += world->processes[i]->submits == submits;
	return n;
}

struct accounts {
	long long produced, succeeded, dropped, dead, sealed, left;
};

static bool read_accounts(struct world *world, struct accounts *ret)
{
	redisReply *reply = model_eval(world, REDIS_ACCOUNT, &world->key_words);
	bool ok = model_is(reply, "OK");
	if (ok) {
		redisReply *const *n = reply->element[2]->element;
		*ret = (struct accounts){n[0]->integer, n[1]->integer, n[2]->integer,
					 n[3]->integer, n[4]->integer, n[5]->integer};
	}
	freeReplyObject(reply);
	return ok;
}

static void look_at_accounts(struct world *world)
{
	struct accounts all;
	if (read_accounts(world, &all) && all.produced != all.succeeded + all.dropped + all.dead + all.left)
		find(world, "accounts: %lld produced, %lld + %lld + %lld settled, %lld left", all.produced,
		     all.succeeded, all.dropped, all.dead, all.left);
}

/* At no moment do all together hold more than there is. */
static void look_at_shares(struct world *world)
{
	uint64_t used = 0, capacity = 0;
	for (size_t i = 0; i < world->process_count; i++) {
		const struct process *process = world->processes[i];
		if (process->stalled || process->killed || !process->share.capacity)
			continue;
		used += fleet_share_now(&process->share, model_clock(process));
		capacity = process->share.capacity;
	}
	if (used > capacity)
		find(world, "%" PRIu64 " of a limit of %" PRIu64 " are in use", used, capacity);
}

static void keep_alive(struct world *world)
{
	for (size_t i = world->process_count; i-- > 0;)
		if (world->processes[i]->ended || world->processes[i]->killed)
			remove_process(world, i);
	size_t workers = count(world, false);
	if ((!workers && !world->end_seen) || (world->process_count < 6 && chance(world, .002)))
		add_process(world, false);
	struct accounts all;
	if (!count(world, true) && !world->end_seen && world->process_count < PROCESSES_MOST && chance(world, .05) &&
	    !(read_accounts(world, &all) && all.sealed))
		add_process(world, true);
}

static void run_tick(struct world *world)
{
	world->tick++;
	run_late_calls(world);
	if (world->tick < CALM_FROM)
		make_trouble(world);
	for (size_t i = 0; i < world->process_count && world->tick == CALM_FROM; i++)
		world->processes[i]->stalled = 0;
	keep_alive(world);
	if (world->process_count) {
		struct process *process = world->processes[below(world, world->process_count)];
		if (process->stalled)
			process->stalled--;
		else
			step(process);
	}
	look_at_shares(world);
	if (world->tick % 50 == 0)
		look_at_accounts(world);
}

static void judge_item(struct world *world, unsigned item, bool letter)
{
	enum outcome outcome = outcome_of(world, item);
	if (world->rows[item] > 1)
		find(world, "item %u has %u rows", item, world->rows[item]);
	if (world->rows[item] && letter)
		find(world, "item %u has a row and a letter", item);
	if (world->rows[item] && outcome != SUCCEEDS)
		find(world, "item %u has a row", item);
	if (outcome == SUCCEEDS && letter)
		find(world, "item %u is innocent and has a letter", item);
	else if (outcome == SUCCEEDS && !world->rows[item])
		find(world, "item %u is lost: it has no row", item);
	if ((outcome == DIES || outcome == KILLS) && !letter)
		find(world, "item %u has no letter", item);
}

static void judge(struct world *world)
{
	struct accounts all = {0};
	if (world->tick >= TICKS_MOST)
		find(world, "it does not end");
	if (!read_accounts(world, &all) || !all.sealed || all.left)
		find(world, "it ended with %lld left", all.left);
	if (all.produced != world->items)
		find(world, "%lld of %u were produced", all.produced, world->items);
	look_at_accounts(world);
	redisReply *kept = MODEL_SAY(world, "HLEN", world->keys[FIRST_STREAM - 2]);
	if (kept && kept->integer && !world->setup->stranger)
		find(world, "what was kept of %lld items is left", kept->integer);
	freeReplyObject(kept);
	for (unsigned item = 1; item <= world->items; item++) {
		char number[16];
		snprintf(number, sizeof number, "%u", item);
		redisReply *letter = MODEL_SAY(world, "HEXISTS", world->keys[FIRST_STREAM - 1], number);
		judge_item(world, item, letter && letter->integer);
		freeReplyObject(letter);
	}
}

static void end_world(struct world *world)
{
	while (world->process_count)
		remove_process(world, 0);
	weir_group_wait(world->fibers, WEIR_FOREVER);
	weir_group_free(world->fibers);
	weir_event_free(world->back);
	struct late_call *late;
	while ((late = STAILQ_FIRST(&world->late_calls))) {
		STAILQ_REMOVE_HEAD(&world->late_calls, next);
		redis_command_fini(&late->rest);
		free(late);
	}
	for (size_t i = 0; i < world->key_count; i++)
		free(world->dumps[i]);
	clear_keys(world);
	redis_command_fini(&world->key_words);
}

void model_trial(struct trial *trial)
{
	struct world *world = malloc(sizeof *world);
	begin_world(world, trial);
	add_process(world, true);
	for (uint64_t n = 1 + below(world, 4); n; n--)
		add_process(world, false);
	while (world->tick < TICKS_MOST && !*world->finding && !(world->end_seen && !count(world, false)))
		run_tick(world);
	if (!*world->finding)
		judge(world);
	memcpy(trial->finding, world->finding, sizeof trial->finding);
	end_world(world);
	trial->stats = world->stats;
	trial->stats.items = world->items;
	free(world);
}
