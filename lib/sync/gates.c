/* SPDX-License-Identifier: MIT */
/*
 * The gates of a policy: a hash table by key.  Those that nobody uses are in a list, the one used longest ago first;
 * when there are too many, that one is forgotten.  One in use is never: then there are more than there should be.
 */
#include "sync/policy.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- the table */

/* Keys may come from outside. */
static uint64_t hash_of(const struct weir_policy *policy, const char *key)
{
	return weir_hash_text(policy->options.seed, key);
}

static struct weir__upstream *find(const struct weir_policy *policy, const char *key, uint64_t hash)
{
	struct weir_table_node *node = weir_table_find(&policy->upstreams, hash);
	while (node && strcmp(((struct weir__upstream *)node)->key, key) != 0)
		node = weir_table_again(node);
	return (struct weir__upstream *)node;
}

/* The next one that has a gate; after NULL the first. */
static struct weir__upstream *next_gate(const struct weir_policy *policy, struct weir__upstream *upstream)
{
	do
		upstream =
			(struct weir__upstream *)weir_table_next(&policy->upstreams, upstream ? &upstream->node : NULL);
	while (upstream && !upstream->gate);
	return upstream;
}

static void forget_oldest(struct weir_policy *policy)
{
	struct weir__upstream *upstream = TAILQ_FIRST(&policy->idle);
	TAILQ_REMOVE(&policy->idle, upstream, idle);
	weir_table_remove(&policy->upstreams, &upstream->node);
	weir__gate_free(upstream->gate);
	free(upstream);
}

/* Finds or makes one; a new one is not in use. */
static int look_up(struct weir_policy *policy, const char *key, struct weir__upstream **ret_upstream)
{
	uint64_t hash = hash_of(policy, key);
	struct weir__upstream *upstream = find(policy, key, hash);
	if (upstream) {
		*ret_upstream = upstream;
		return 0;
	}
	while (policy->upstreams.n >= policy->options.gates_most && !TAILQ_EMPTY(&policy->idle))
		forget_oldest(policy);
	if (weir_table_reserve(&policy->upstreams))
		return WEIR_ENOMEM;
	size_t key_bytes = strlen(key) + 1;
	upstream = calloc(1, sizeof *upstream + key_bytes);
	if (!upstream)
		return WEIR_ENOMEM;
	memcpy(upstream->key, key, key_bytes);
	weir_table_add(&policy->upstreams, &upstream->node, hash);
	TAILQ_INSERT_TAIL(&policy->idle, upstream, idle);
	*ret_upstream = upstream;
	return 0;
}

void weir__policy_gates_fini(struct weir_policy *policy)
{
	for (struct weir_table_node *node = weir_table_next(&policy->upstreams, NULL), *next; node; node = next) {
		struct weir__upstream *upstream = (struct weir__upstream *)node;
		next = weir_table_next(&policy->upstreams, node);
		weir__gate_free(upstream->gate);
		free(upstream);
	}
	weir_table_fini(&policy->upstreams);
}

/* ---- gates */

static int make_gate(struct weir_policy *policy, struct weir__upstream *upstream)
{
	const struct weir_policy_options *o = &policy->options;
	struct weir__gate_options opts = {
		.concurrency = o->concurrency,
		.adapt = {.most = o->most, .seed = o->seed},
		.rate = o->rate,
		.breaker = o->breaker,
		.flags = o->gate_flags,
		.longest = o->longest,
		.snapshot = upstream->snapshot,
		.rate_wanted = o->rate_wanted,
		.rate_arg = o->rate_arg,
		.seed = o->seed ^ weir_hash_text(0, upstream->key),
	};
	size_t memory_limit = weir__policy_memory_limit(policy, policy->job_bytes);
	if (opts.adapt.most > memory_limit)
		opts.adapt.most = memory_limit;
	opts.breaker.seed ^= opts.seed;
	int code = weir__gate_new(&opts, &upstream->gate);
	if (code)
		return code;
	weir__gate_set_owner(upstream->gate, upstream);
	if (policy->closed)
		weir__gate_close(upstream->gate);
	if (policy->paused)
		weir__gate_pause(upstream->gate, true);
	weir__gate_pause_from(upstream->gate, policy->pause_from);
	return 0;
}

int weir__policy_gate(struct weir_policy *policy, const char *key, struct weir_gate **ret_gate)
{
	struct weir__upstream *upstream;
	int code = look_up(policy, key ? key : "", &upstream);
	if (code == 0 && !upstream->gate)
		code = make_gate(policy, upstream);
	if (code)
		return code;
	if (upstream->users++ == 0)
		TAILQ_REMOVE(&policy->idle, upstream, idle);
	*ret_gate = upstream->gate;
	return 0;
}

void weir__policy_unref(struct weir_policy *policy, struct weir_gate *gate)
{
	struct weir__upstream *upstream = weir__gate_owner(gate);
	weir__require(upstream && upstream->users > 0, WEIR_HERE, "weir__policy_unref() too often");
	if (--upstream->users == 0)
		TAILQ_INSERT_TAIL(&policy->idle, upstream, idle);
}

int weir_policy_recall(struct weir_policy *policy, const char *key, const struct weir_snapshot *snapshot)
{
	struct weir__upstream *upstream;
	int code = look_up(policy, key ? key : "", &upstream);
	if (code == 0)
		upstream->snapshot = *snapshot;
	return code;
}

int weir_policy_gates(const struct weir_policy *policy,
		      int (*fn)(void *arg, const char *key, const struct weir_gate_stats *stats), void *arg)
{
	int code = 0;
	for (struct weir__upstream *at = next_gate(policy, NULL); at && code == 0; at = next_gate(policy, at)) {
		struct weir_gate_stats stats;
		weir_gate_stats(at->gate, &stats);
		code = fn(arg, at->key, &stats);
	}
	return code;
}

void weir_policy_grant(struct weir_policy *policy, const char *key, weir_nsec paid)
{
	struct weir__upstream *upstream = find(policy, key, hash_of(policy, key));
	if (upstream && upstream->gate)
		weir__gate_grant(upstream->gate, paid);
}

void weir_policy_shut(struct weir_policy *policy, const char *key, weir_nsec until)
{
	struct weir__upstream *upstream = find(policy, key, hash_of(policy, key));
	if (upstream && upstream->gate)
		weir__gate_shut(upstream->gate, until);
}

void weir_policy_share(struct weir_policy *policy, const char *key, unsigned callers)
{
	struct weir__upstream *upstream = find(policy, key, hash_of(policy, key));
	if (upstream && upstream->gate)
		weir__gate_share(upstream->gate, callers);
}

/* ---- changes, for all of them */

static int for_each(struct weir_policy *policy, int (*fn)(struct weir_policy *policy, struct weir_gate *gate))
{
	int code = 0;
	for (struct weir__upstream *at = next_gate(policy, NULL); at; at = next_gate(policy, at)) {
		int failed = fn(policy, at->gate);
		code = code ? code : failed;
	}
	return code;
}

static int set_concurrency(struct weir_policy *policy, struct weir_gate *gate)
{
	return weir__gate_set_concurrency(gate, policy->options.concurrency);
}

int weir_policy_set_concurrency(struct weir_policy *policy, size_t concurrency)
{
	policy->options.concurrency = concurrency;
	return for_each(policy, set_concurrency);
}

static int set_rate(struct weir_policy *policy, struct weir_gate *gate)
{
	return weir__gate_set_rate(gate, &policy->options.rate);
}

int weir_policy_set_rate(struct weir_policy *policy, const struct weir_rate_options *rate)
{
	if (rate->count) {
		struct weir_rate probe = {0};
		int code = weir_rate_init(&probe, rate);
		if (code)
			return code;
		weir_rate_fini(&probe);
	}
	policy->options.rate = *rate;
	return for_each(policy, set_rate);
}

static int set_paused(struct weir_policy *policy, struct weir_gate *gate)
{
	weir__gate_pause(gate, policy->paused);
	return 0;
}

static int set_pause_from(struct weir_policy *policy, struct weir_gate *gate)
{
	weir__gate_pause_from(gate, policy->pause_from);
	return 0;
}

static int close_gate(struct weir_policy *policy, struct weir_gate *gate)
{
	(void)policy;
	weir__gate_close(gate);
	return 0;
}

void weir_policy_close(struct weir_policy *policy)
{
	policy->closed = true;
	for_each(policy, close_gate);
}

void weir_policy_pause(struct weir_policy *policy, bool paused)
{
	policy->paused = paused;
	for_each(policy, set_paused);
}

void weir_policy_pause_from(struct weir_policy *policy, weir_nsec at)
{
	policy->pause_from = at;
	for_each(policy, set_pause_from);
}

/* ---- sums */

size_t weir__policy_sum(const struct weir_policy *policy)
{
	size_t sum = 0;
	for (struct weir__upstream *at = next_gate(policy, NULL); at; at = next_gate(policy, at))
		sum += weir__gate_limit(at->gate);
	return sum;
}

/* Two pages of stack, the fiber's record and itself; and for each of them four are read ahead. */
size_t weir__policy_job_bytes(size_t job_bytes)
{
	enum { STACK_PAGES = 8192, RECORD = 256 };
	return STACK_PAGES + 5 * (RECORD + job_bytes);
}

size_t weir__policy_memory_limit(const struct weir_policy *policy, size_t job_bytes)
{
	if (!policy->options.memory_bytes)
		return SIZE_MAX;
	size_t limit = policy->options.memory_bytes / weir__policy_job_bytes(job_bytes);
	return limit ? limit : 1;
}

static struct weir__upstream *only_gate(const struct weir_policy *policy)
{
	struct weir__upstream *first = next_gate(policy, NULL);
	return first && !next_gate(policy, first) ? first : NULL;
}

double weir__policy_hint(const struct weir_policy *policy)
{
	const struct weir__upstream *only = only_gate(policy);
	struct weir_gate_stats stats = {0};
	if (only)
		weir_gate_stats(only->gate, &stats);
	return stats.hinted ? stats.per_sec : 0;
}

void weir__policy_go_on_from(struct weir_policy *policy, const struct weir_choice *choice)
{
	const struct weir__upstream *only = only_gate(policy);
	if (only)
		weir__gate_go_on_from(only->gate, choice->concurrency, choice->per_sec);
}
