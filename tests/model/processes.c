/* SPDX-License-Identifier: MIT */
/* A process that works, and one that submits.  Each function that calls returns whether the process goes on; what a
 * worker has to do when it was taken out, it does at its next turn. */
#include "model/model.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { CAPACITY = 100 };

/* Fills what all calls begin with, and the worker. */
static void begin(const struct process *self, struct redis_command *rest)
{
	model_begin(self->world, rest);
	redis_add_text(rest, self->name);
}

static void add_entry(struct redis_command *rest, const struct held *held)
{
	redis_add_number(rest, held->stream);
	redis_add_text(rest, held->id);
}

static void drop(struct process *self, const char *id)
{
	for (unsigned i = 0; i < self->held_count; i++)
		if (!strcmp(self->held[i].id, id)) {
			self->held[i] = self->held[--self->held_count];
			return;
		}
}

/* ---- joining */

/* Joins under a new name: whether it has; *ret_cursor, *ret_sealed as the answer says. */
static bool join(struct process *self, unsigned *ret_cursor, bool *ret_sealed)
{
	struct world *world = self->world;
	struct redis_command rest = {0};
	char base[32];
	snprintf(base, sizeof base, "p%u.%u", self->id, ++self->generation);
	/* It knows of no run, and of this one if there is one. */
	buf_add(&rest.words, world->key_words.words.data, world->key_words.words.len);
	rest.n = world->key_words.n;
	char run[40];
	snprintf(run, sizeof run, "run%" PRIu64, world->seed);
	redis_add_text(&rest, "");
	redis_add_text(&rest, base);
	redis_add_text(&rest, run);
	redis_add_text(&rest, self->submits ? "submit" : "work");
	redis_add_text(&rest, REDIS_FORMAT);
	redis_add_text(&rest, "plan");
	redis_add_text(&rest, "file");
	redis_add_text(&rest, self->submits ? "=source" : "");
	redis_add_text(&rest, "record");
	for (int i = 0; i < 3; i++) /* nobody is gone, no plan is known, nor changed */
		redis_add_text(&rest, "");
	redisReply *reply = model_call(self, REDIS_START, &rest);
	redis_command_fini(&rest);
	bool joined = model_is(reply, "OK");
	if (joined) {
		snprintf(self->name, sizeof self->name, "%s", reply->element[1]->str);
		*ret_cursor = (unsigned)atoi(reply->element[2]->str);
		*ret_sealed = !strcmp(reply->element[3]->str, "1");
		self->number = 0;
		self->held_count = 0;
		fleet_watch_free(self->watch);
		self->watch = NULL;
		if (fleet_watch_new(self->name, world->lease, &self->watch))
			abort();
		self->share = (struct fleet_share){.capacity = CAPACITY, .needs = CAPACITY};
		fleet_share_connected(&self->share, model_clock(self));
	}
	freeReplyObject(reply);
	return joined;
}

/* Whether the answer is OK; else the process joins anew if it was taken out.  Frees the answer. */
static bool accepted(struct process *self, redisReply *reply)
{
	bool ok = model_is(reply, "OK");
	if (model_is(reply, "FENCED")) {
		unsigned cursor;
		bool sealed;
		self->world->stats.fenced++;
		join(self, &cursor, &sealed);
	}
	freeReplyObject(reply);
	return ok;
}

/* ---- what a worker does */

static const char *field(const redisReply *fields, const char *name)
{
	for (size_t i = 0; i + 1 < fields->elements; i += 2)
		if (!strcmp(fields->element[i]->str, name))
			return fields->element[i + 1]->str;
	return "";
}

/* Whether the answer that said so has not come too late. */
static bool is_pending(struct process *self, int stream, const char *id)
{
	const char *key = self->world->keys[FIRST_STREAM - 1 + stream];
	redisReply *reply = MODEL_SAY(self->world, "XPENDING", key, "w", id, id, "1", self->name);
	bool pending = reply && reply->type == REDIS_REPLY_ARRAY && reply->elements;
	freeReplyObject(reply);
	return pending;
}

static void receive(struct process *self, int stream, const char *id, const char *meta, const char *body)
{
	struct world *world = self->world;
	for (unsigned i = 0; i < self->held_count; i++)
		if (!strcmp(self->held[i].id, id))
			return;
	if (self->held_count > SLOTS_MOST)
		return;
	struct held *held = &self->held[self->held_count++];
	*held = (struct held){.stream = stream, .work = 1 + (unsigned)below(world, 6)};
	snprintf(held->id, sizeof held->id, "%s", id);
	held->item = (unsigned)atoi(strchr(id, '-') + 1);
	sscanf(meta, "%u %u", &held->attempts, &held->calls);
	if ((unsigned)atoi(body) != held->item)
		find(world, "entry %s has the body of item %s", id, body);
	if (held->item > world->items)
		find(world, "entry %s is of no item", id);
	else if (held->calls < world->kept[held->item] && !world->forgets && is_pending(self, stream, id))
		find(world, "of item %u %u calls were kept, and %u came back", held->item, world->kept[held->item],
		     held->calls);
}

/* Of a stream, as the server has it: an entry that a stranger has deleted meanwhile has no fields. */
static void receive_fields(struct process *self, int stream, const char *id, const redisReply *fields)
{
	if (fields->type == REDIS_REPLY_ARRAY)
		receive(self, stream, id, field(fields, "m"), field(fields, "b"));
}

static void take(struct process *self)
{
	struct world *world = self->world;
	if (self->held_count >= world->slots)
		return;
	struct redis_command rest = {0};
	begin(self, &rest);
	redis_add_number(&rest, world->slots - self->held_count);
	redis_add_text(&rest, below(world, 4) ? "0" : "1");
	redis_add_number(&rest, 20);
	redisReply *reply = model_call(self, REDIS_TAKE, &rest);
	redis_command_fini(&rest);
	if (model_is(reply, "END")) {
		self->is_done = true;
	} else if (model_is(reply, "OK")) {
		const redisReply *entries = reply->element[2];
		for (size_t i = 0; i < entries->elements; i++) {
			redisReply *const *entry = entries->element[i]->element;
			receive(self, (int)entry[0]->integer, entry[1]->str, entry[2]->str, entry[4]->str);
		}
	}
	accepted(self, reply);
}

/* A read that blocks, of one entry, beside the scripts: it does not ask whether its worker is still there, and may come
 * late. */
static void block(struct process *self)
{
	struct world *world = self->world;
	if (self->held_count >= world->slots)
		return;
	struct redis_command command = {0};
	static const char *const words[] = {"XREADGROUP", "GROUP", "w"};
	for (size_t i = 0; i < 3; i++)
		redis_add_text(&command, words[i]);
	redis_add_text(&command, self->name);
	redis_add_text(&command, "COUNT");
	redis_add_text(&command, "1");
	redis_add_text(&command, "STREAMS");
	redis_add_text(&command, world->keys[FIRST_STREAM + 2]);
	redis_add_text(&command, ">");
	if (chance(world, world->late)) {
		struct late_call *late = calloc(1, sizeof *late);
		*late = (struct late_call){
			.at = world->tick + 1 + (unsigned)below(world, 400), .script = REDIS_SCRIPTS, .rest = command};
		STAILQ_INSERT_TAIL(&world->late_calls, late, next);
		model_pause(self);
		return;
	}
	bool lost = chance(world, world->lost_answers);
	redisReply *reply = model_say(world, &command);
	redis_command_fini(&command);
	if (model_pause(self) && !lost && reply && reply->type == REDIS_REPLY_ARRAY) {
		const redisReply *entry = reply->element[0]->element[1]->element[0];
		receive_fields(self, 3, entry->element[0]->str, entry->element[1]);
	}
	freeReplyObject(reply);
}

/* One entry by a script: `extra` words behind its stream and id. */
static bool settle(struct process *self, enum redis_script_name script, const char *fate, const struct held *held,
		   const char *const *extra)
{
	struct redis_command rest = {0};
	const struct held copy = *held;
	begin(self, &rest);
	if (fate)
		redis_add_text(&rest, fate);
	add_entry(&rest, &copy);
	for (; extra && *extra; extra++)
		redis_add_text(&rest, *extra);
	redisReply *reply = model_call(self, script, &rest);
	redis_command_fini(&rest);
	if (!reply)
		return false;
	if (accepted(self, reply))
		drop(self, copy.id);
	return true;
}

static void finish_item(struct process *self, struct held *held)
{
	struct world *world = self->world;
	char meta[32], wait[16];
	snprintf(meta, sizeof meta, "%u %u", held->attempts + 1, held->calls);
	snprintf(wait, sizeof wait, "%u", (unsigned)below(world, 4));
	if (held->attempts < failures_of(world, held->item)) {
		settle(self, REDIS_RETRY, NULL, held, (const char *const[]){wait, meta, NULL});
		return;
	}
	switch (outcome_of(world, held->item)) {
	case KILLS:
		self->killed = true;
		break;
	case DIES:
		settle(self, REDIS_BURY, NULL, held, (const char *const[]){meta, "no", "", NULL});
		break;
	case DROPS:
		settle(self, REDIS_DONE, "dropped", held, NULL);
		break;
	case SUCCEEDS:
		held->ready = true;
	}
}

static void work(struct process *self)
{
	if (self->held_count) {
		struct held *held = &self->held[below(self->world, self->held_count)];
		if (!held->ready && !--held->work) {
			finish_item(self, held);
			return;
		}
		held->work += !held->ready && !held->work;
	}
	model_pause(self);
}

/* The sink: a transaction takes some steps, its rows are there with the last. */
static void commit(struct world *world, const struct held *batch, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		unsigned item = batch[i].item;
		if (!world->setup->ledger)
			world->rows[item] = 1;
		else if (!world->ledger[item])
			world->rows[item]++;
		world->ledger[item] = true;
	}
}

static void write_rows(struct process *self)
{
	struct world *world = self->world;
	struct held batch[4];
	unsigned n = 0, most = 1 + (unsigned)below(world, 4);
	for (unsigned i = 0; i < self->held_count && n < most; i++)
		if (self->held[i].ready)
			batch[n++] = self->held[i];
	if (!n) {
		model_pause(self);
		return;
	}
	for (uint64_t steps = below(world, 4); steps; steps--)
		if (!model_pause(self))
			return;
	commit(world, batch, n);
	if (!model_pause(self))
		return;
	struct redis_command rest = {0};
	begin(self, &rest);
	for (unsigned i = 0; i < n; i++) {
		redis_add_text(&rest, "succeeded");
		add_entry(&rest, &batch[i]);
	}
	redisReply *reply = model_call(self, REDIS_DONE, &rest);
	redis_command_fini(&rest);
	if (!reply || !accepted(self, reply))
		return;
	for (unsigned i = 0; i < n; i++) {
		drop(self, batch[i].id);
		if (world->setup->prune)
			world->ledger[batch[i].item] = false;
	}
}

/* A call of an item has succeeded: whoever has the item after that was kept begins behind it. */
static void keep(struct process *self)
{
	if (!self->held_count) {
		model_pause(self);
		return;
	}
	struct redis_command rest = {0};
	struct held *held = &self->held[0];
	unsigned item = held->item, calls = ++held->calls;
	char meta[32];
	snprintf(meta, sizeof meta, "%u %u", held->attempts, calls);
	begin(self, &rest);
	add_entry(&rest, held);
	redis_add_number(&rest, (int64_t)++self->keeps);
	redis_add_text(&rest, meta);
	redisReply *reply = model_call(self, REDIS_KEEP, &rest);
	redis_command_fini(&rest);
	bool is_kept = model_is(reply, "OK") && reply->element[1]->integer;
	if (accepted(self, reply) && is_kept && self->world->kept[item] < calls)
		self->world->kept[item] = calls;
}

static void give_back(struct process *self)
{
	if (self->held_count && !self->held[0].ready)
		settle(self, REDIS_GIVE, NULL, &self->held[0], NULL);
	else
		model_pause(self);
}

/* ---- meeting */

static void kill_silent(struct process *self)
{
	struct fleet_seen victim;
	while (!self->killed && fleet_watch_victim(self->watch, &victim)) {
		struct redis_command rest = {0};
		begin(self, &rest);
		redis_add_text(&rest, victim.name);
		redis_add_number(&rest, (int64_t)victim.number);
		redisReply *reply = model_call(self, REDIS_KILL, &rest);
		redis_command_fini(&rest);
		if (model_is(reply, "OK"))
			self->world->stats.taken_out += (uint64_t)reply->element[1]->integer;
		if (!accepted(self, reply))
			return;
	}
}

static void note_meeting(struct process *self, const redisReply *reply, weir_nsec sent)
{
	struct fleet_seen seen[64];
	struct fleet_claim claims[64];
	const redisReply *alive = reply->element[2], *limit = reply->element[3]->element[0], *all = limit->element[2];
	size_t n = 0, m = 0;
	for (size_t i = 0; i + 1 < alive->elements && n < 64; i += 2)
		seen[n++] = (struct fleet_seen){alive->element[i]->str, strtoull(alive->element[i + 1]->str, NULL, 10)};
	if (fleet_watch_round(self->watch, seen, n, model_clock(self)))
		abort();
	for (size_t i = 0; i + 2 < all->elements && m < 64; i += 3)
		claims[m++] = (struct fleet_claim){all->element[i]->str, (uint64_t)all->element[i + 1]->integer,
						   (uint64_t)all->element[i + 2]->integer};
	fleet_share_hear(&self->share, (uint64_t)limit->element[1]->integer, sent);
	fleet_share_plan(&self->share, self->name, claims, m, model_clock(self));
}

/* Ended shares: of those whose number stands still, as far as this process knows any. */
static void add_ended(struct process *self, struct redis_command *rest)
{
	const void *at = NULL;
	struct fleet_seen silent;
	while (fleet_watch_silent(self->watch, FLEET_SHARE_LIFE, model_clock(self), &at, &silent)) {
		redis_add_text(rest, silent.name);
		redis_add_number(rest, (int64_t)silent.number);
	}
}

/* A lost one is not sent again, the next one has another number. */
static void meet(struct process *self)
{
	struct redis_command rest = {0};
	weir_nsec sent = model_clock(self);
	self->share.needs = below(self->world, 3) ? CAPACITY : below(self->world, 30);
	fleet_share_ask(&self->share, sent);
	begin(self, &rest);
	redis_add_number(&rest, (int64_t)++self->number);
	redis_add_text(&rest, "");
	redis_add_text(&rest, "0");
	redis_add_text(&rest, "1");
	redis_add_text(&rest, "rate");
	redis_add_number(&rest, CAPACITY);
	redis_add_number(&rest, (int64_t)self->share.holds);
	redis_add_number(&rest, (int64_t)self->share.wants);
	redis_add_number(&rest, (int64_t)self->share.needs);
	add_ended(self, &rest);
	redisReply *reply = model_attempt(self, REDIS_MEET, &rest);
	redis_command_fini(&rest);
	if (!reply)
		return;
	if (model_is(reply, "OK"))
		note_meeting(self, reply, sent);
	if (accepted(self, reply))
		kill_silent(self);
}

/* ---- what is for all */

static void call_with_number(struct process *self, enum redis_script_name script, unsigned a, unsigned b)
{
	struct redis_command rest = {0};
	begin(self, &rest);
	redis_add_number(&rest, a);
	if (b)
		redis_add_number(&rest, b);
	redisReply *reply = model_call(self, script, &rest);
	redis_command_fini(&rest);
	if (script == REDIS_REAP && model_is(reply, "OK"))
		self->world->stats.reaped += (uint64_t)reply->element[1]->integer;
	accepted(self, reply);
}

static void sweep(struct process *self)
{
	for (int stream = 1; stream <= 2 + CLASSES && !self->killed; stream++) {
		char from[48] = "-";
		if (stream > (int)self->world->key_count - FIRST_STREAM)
			return;
		while (*from && !self->killed) {
			struct redis_command rest = {0};
			begin(self, &rest);
			redis_add_number(&rest, stream);
			redis_add_text(&rest, from);
			redis_add_number(&rest, 7);
			redisReply *reply = model_call(self, REDIS_SWEEP, &rest);
			redis_command_fini(&rest);
			if (!model_is(reply, "OK")) {
				accepted(self, reply);
				return;
			}
			snprintf(from, sizeof from, "%s", reply->element[2]->str);
			freeReplyObject(reply);
		}
	}
}

/* What the server says that this worker has, and it does not know of: the answer was lost. */
static void audit(struct process *self)
{
	struct world *world = self->world;
	for (int stream = 1; stream <= (int)world->key_count - FIRST_STREAM; stream++) {
		const char *key = world->keys[FIRST_STREAM - 1 + stream];
		redisReply *mine = MODEL_SAY(world, "XPENDING", key, "w", "-", "+", "100", self->name);
		for (size_t i = 0; mine && mine->type == REDIS_REPLY_ARRAY && i < mine->elements; i++) {
			const char *id = mine->element[i]->element[0]->str;
			redisReply *found = MODEL_SAY(world, "XRANGE", key, id, id);
			if (found && found->elements)
				receive_fields(self, stream, id, found->element[0]->element[1]);
			freeReplyObject(found);
		}
		freeReplyObject(mine);
	}
	model_pause(self);
}

/* First it uses nothing any more, since its share is free then. */
static void leave(struct process *self)
{
	struct redis_command rest = {0};
	self->share.until = 0;
	begin(self, &rest);
	redis_add_text(&rest, self->name);
	redis_add_text(&rest, "");
	freeReplyObject(model_call(self, REDIS_KILL, &rest));
	redis_command_fini(&rest);
}

static void act(struct process *self)
{
	uint64_t what = below(self->world, 68);
	if (what < 6)
		take(self);
	else if (what < 34)
		work(self);
	else if (what < 42)
		write_rows(self);
	else if (what < 54)
		meet(self);
	else if (what < 57)
		call_with_number(self, REDIS_MOVE, 16, 0);
	else if (what < 59)
		call_with_number(self, REDIS_REAP, 64, self->world->deaths);
	else if (what < 60 && self->world->setup->stranger)
		sweep(self);
	else if (what < 61)
		audit(self);
	else if (what < 63)
		block(self);
	else if (what < 67)
		keep(self);
	else
		give_back(self);
}

int model_worker(void *arg)
{
	struct process *self = arg;
	unsigned cursor;
	bool sealed;
	model_pause(self);
	while (!self->killed && !join(self, &cursor, &sealed))
		;
	while (!self->killed && !self->is_done)
		act(self);
	if (!self->killed)
		leave(self);
	self->ended = true;
	weir_event_set(self->world->back);
	return 0;
}

/* ---- submitting */

static bool put(struct process *self, unsigned *cursor)
{
	struct world *world = self->world;
	unsigned n = 1 + (unsigned)below(world, 8), was = *cursor;
	n = n < world->items - was ? n : world->items - was;
	struct redis_command rest = {0};
	char text[16];
	begin(self, &rest);
	redis_add(&rest, text, was ? (size_t)snprintf(text, sizeof text, "%u", was) : 0);
	redis_add_number(&rest, was + n);
	redis_add_number(&rest, world->most);
	redis_add_number(&rest, below(world, 2) ? 0 : 1 << 20);
	for (unsigned i = was + 1; i <= was + n; i++) {
		redis_add_number(&rest, i % CLASSES);
		redis_add_text(&rest, "0");
		redis_add_number(&rest, i);
	}
	redisReply *reply = model_call(self, REDIS_ENQ, &rest);
	redis_command_fini(&rest);
	bool fenced = model_is(reply, "FENCED");
	if (model_is(reply, "OK"))
		*cursor = was + n;
	else if (model_is(reply, "MOVED"))
		*cursor = (unsigned)atoi(reply->element[1]->str);
	freeReplyObject(reply);
	return !fenced;
}

/* Whether all is said. */
static bool seal(struct process *self, unsigned *cursor)
{
	struct redis_command rest = {0};
	begin(self, &rest);
	redis_add_number(&rest, self->world->items);
	redisReply *reply = model_call(self, REDIS_SEAL, &rest);
	redis_command_fini(&rest);
	bool sealed = model_is(reply, "OK");
	if (model_is(reply, "MOVED"))
		*cursor = (unsigned)atoi(reply->element[1]->str);
	else if (!sealed)
		*cursor = UINT32_MAX;
	freeReplyObject(reply);
	return sealed;
}

int model_submit(void *arg)
{
	struct process *self = arg;
	bool sealed = false;
	model_pause(self);
	while (!self->killed && !sealed) {
		unsigned cursor = 0;
		if (!join(self, &cursor, &sealed))
			continue;
		while (!self->killed && !sealed && cursor < UINT32_MAX) {
			if (cursor < self->world->items ? !put(self, &cursor) : false)
				break;
			if (below(self->world, 2))
				meet(self);
			if (cursor == self->world->items)
				sealed = seal(self, &cursor);
		}
	}
	if (!self->killed)
		leave(self);
	self->ended = true;
	weir_event_set(self->world->back);
	return 0;
}
