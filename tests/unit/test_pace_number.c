/* SPDX-License-Identifier: MIT */
/* Refusals for the number at once are told from those for the rate, on a server that is a few lines long. */
#include "policy/adapt.h"
#include "support/test.h"

#include <weir/random.h>

enum { CALLS_MOST = 256 };

/* Calls take 50 to 150 ms, those that are refused 2 ms. */
struct call {
	struct weir__sample sample; /* ended: when it will */
	bool is_refused;
};

struct server {
	size_t cap; /* at once; 0: any number */
	double per_sec, burst, tokens;
	size_t inside;
};

struct world {
	struct server server;
	struct weir__pace *pace;
	weir_nsec now, retry_after;
	uint64_t number, random;
	size_t limit, under_way; /* the caller's limit */
	struct call calls[CALLS_MOST];
	uint64_t refused;
};

static bool lets_in(struct server *server)
{
	if (server->cap)
		return server->inside < server->cap;
	if (server->tokens < 1)
		return false;
	server->tokens -= 1;
	return true;
}

static bool may_send(const struct world *world)
{
	size_t concurrency = weir__pace_concurrency(world->pace);
	size_t limit = concurrency && concurrency < world->limit ? concurrency : world->limit;
	return world->under_way < limit && weir__pace_next(world->pace, world->now) <= world->now;
}

static void send_one(struct world *world)
{
	struct call *call = world->calls;
	while (call->sample.number)
		call++;
	*call = (struct call){.is_refused = !lets_in(&world->server)};
	weir_nsec took = 2 * WEIR_MSEC;
	if (!call->is_refused) {
		world->server.inside++;
		took = (weir_nsec)(50 + weir_random_below(&world->random, 100)) * WEIR_MSEC;
	}
	call->sample = (struct weir__sample){.started = world->now,
					     .ended = world->now + took,
					     .in_flight = ++world->under_way,
					     .number = ++world->number,
					     .outcome = call->is_refused ? WEIR_OUTCOME_THROTTLED : WEIR_OUTCOME_GOOD};
	weir__pace_sent(world->pace, world->now);
}

static void end_one(struct world *world, struct call *call)
{
	struct weir__sample sample = call->sample;
	world->server.inside -= !call->is_refused;
	world->refused += call->is_refused;
	world->under_way--;
	call->sample.number = 0;
	weir__pace_add(world->pace, &sample,
		       &(struct weir_hint){.retry_after = call->is_refused ? world->retry_after : 0});
}

/* Returns how many were refused. */
static uint64_t run_for(struct world *world, weir_nsec time)
{
	uint64_t before = world->refused;
	for (weir_nsec until = world->now + time; world->now < until; world->now += WEIR_MSEC / 2) {
		struct server *server = &world->server;
		server->tokens += server->per_sec / 2000;
		if (server->tokens > server->burst)
			server->tokens = server->burst;
		for (struct call *call = world->calls; call < world->calls + CALLS_MOST; call++)
			if (call->sample.number && call->sample.ended <= world->now)
				end_one(world, call);
		while (may_send(world))
			send_one(world);
	}
	return world->refused - before;
}

static void begin(struct world *world, const struct server *server)
{
	*world = (struct world){.server = *server, .now = WEIR_SEC, .random = 3, .limit = 100};
	world->server.tokens = server->burst;
	ck_assert_int_eq(weir__pace_new(&(struct weir__pace_options){0}, &world->pace), 0);
}

static struct world world;

TEST(pace_blames_the_number_where_so_many_are_let_in_concurrently)
{
	for (size_t cap = 5; cap <= 80; cap *= 4) {
		begin(&world, &(struct server){.cap = cap});
		run_for(&world, 10 * WEIR_SEC);
		ck_assert(weir__pace_blames_concurrency(world.pace));
		ck_assert(weir__pace_per_sec(world.pace) == 0);
		ck_assert_uint_ge(weir__pace_concurrency(world.pace), cap);
		ck_assert_uint_le(weir__pace_concurrency(world.pace), cap + 1);
		weir__pace_free(world.pace);
	}
}

TEST(pace_blames_the_rate_where_so_many_a_second_are_let_in)
{
	for (double burst = 5; burst <= 80; burst *= 4) {
		begin(&world, &(struct server){.per_sec = 200, .burst = burst});
		run_for(&world, 20 * WEIR_SEC);
		ck_assert(!weir__pace_blames_concurrency(world.pace));
		ck_assert_uint_eq(weir__pace_concurrency(world.pace), 0);
		ck_assert(weir__pace_per_sec(world.pace) > 180 && weir__pace_per_sec(world.pace) < 220);
		weir__pace_free(world.pace);
	}
}

TEST(pace_finds_a_number_in_few_refusals_where_each_shuts)
{
	begin(&world, &(struct server){.cap = 50});
	world.retry_after = WEIR_SEC;
	world.limit = 55;
	ck_assert_uint_le(run_for(&world, 8 * WEIR_SEC), 20);
	ck_assert(weir__pace_blames_concurrency(world.pace));
	size_t concurrency = weir__pace_concurrency(world.pace);
	ck_assert_uint_ge(concurrency, 49);
	ck_assert_uint_le(concurrency, 51);
	weir__pace_free(world.pace);
}

/* As many at once as are under way when one is refused, less those that were: the fall costs no more than it is deep.
 */
TEST(pace_follows_a_number_that_falls_and_rises)
{
	begin(&world, &(struct server){.cap = 80});
	run_for(&world, 20 * WEIR_SEC);
	ck_assert(weir__pace_blames_concurrency(world.pace));
	world.server.cap = 20;
	uint64_t refused = run_for(&world, WEIR_SEC / 2);
	ck_assert_uint_eq(weir__pace_concurrency(world.pace), 20);
	ck_assert_uint_le(refused, 60 + 10);
	run_for(&world, 10 * WEIR_SEC);
	world.server.cap = 80;
	refused = run_for(&world, 10 * WEIR_SEC);
	ck_assert_uint_le(refused, 30);
	ck_assert_uint_ge(weir__pace_concurrency(world.pace), 80);
	ck_assert(weir__pace_blames_concurrency(world.pace));
	weir__pace_free(world.pace);
}

/* A limit on the number that turns into one on the rate. */
TEST(pace_no_longer_blames_a_number_when_even_one_alone_is_refused)
{
	begin(&world, &(struct server){.cap = 20});
	run_for(&world, 10 * WEIR_SEC);
	ck_assert(weir__pace_blames_concurrency(world.pace));
	world.server = (struct server){.per_sec = 5, .burst = 1};
	run_for(&world, 30 * WEIR_SEC);
	ck_assert(!weir__pace_blames_concurrency(world.pace));
	weir__pace_free(world.pace);
}
