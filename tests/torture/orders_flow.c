/* SPDX-License-Identifier: MIT */
/*
 * Random flows: weir_process() and weir_call() on one policy with random settings, through random trouble.
 *
 * Each job ends once, in order where that was asked for; no more calls are under way than may be, and no more probes;
 * and when the upstream is well again all goes on to its end.
 */
#include "sync/policy.h"
#include "torture/flow.h"
#include "torture/trouble.h"

#include <stdlib.h>
#include <string.h>

/* Longer than whatever may hold back: an open breaker, "come back later", a backoff. */
#define PATIENCE (1800 * WEIR_SEC)

enum { JOBS_MOST = 2000, RUNS_MOST = 2, ORDERINGS_MOST = 8, KEYS_MOST = 40, CALLS = 30 };

struct job {
	unsigned id;
	uint64_t seq;
};

/* One weir_process(). */
struct run {
	struct weir_process process;
	struct weir_event *returned; /* a job that was postponed */
	unsigned produced, ended;
	uint64_t next_seq, done_seq;
	bool stopped;
	unsigned char state[JOBS_MOST];
	unsigned attempts[JOBS_MOST], leg[JOBS_MOST];
	struct weir_attempts accounts[JOBS_MOST];
	struct weir_history histories[JOBS_MOST];
	struct weir_heap away; /* those that were postponed, by when they are due */
	struct weir_heap_node nodes[JOBS_MOST];
	unsigned ordering_last[ORDERINGS_MOST]; /* the job that was tried last, + 1 */
	bool ordering_busy[ORDERINGS_MOST];
};

enum state { UNBORN, INSIDE, AWAY, ENDED }; /* AWAY: postponed */

static struct {
	const struct order *order;
	struct weir_policy *policy;
	uint64_t random;
	size_t in_flight[KEYS_MOST], most; /* most that there ever may be; SIZE_MAX: any number */
	size_t probes[KEYS_MOST];          /* under way, of the half-open ... */
	uint64_t probes_of[KEYS_MOST];     /* ... after the breaker opened so often */
	bool paused;
	weir_nsec paused_at;
	struct trouble_watch watch;
	struct weir_group *runs;
	struct run run[RUNS_MOST];
} flow;

/* ---- calls */

static const char *key_name(unsigned id)
{
	static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h"};
	static char text[16];
	unsigned key = flow.order->flow.keys ? id % flow.order->flow.keys : 0;
	if (!flow.order->flow.keys)
		return "";
	if (key < sizeof names / sizeof names[0])
		return names[key];
	snprintf(text, sizeof text, "%u", key);
	return text;
}

static unsigned key_of(unsigned id)
{
	return flow.order->flow.keys ? id % flow.order->flow.keys : 0;
}

static weir_nsec latency(void)
{
	unsigned most = flow.order->flow.latency;
	return flow.order->flow.grain * (1 + (weir_nsec)weir_random_below(&flow.random, most ? most : 1));
}

/* It has just entered: whether it is a probe, and how many of these there are. */
static bool begin_probe(unsigned key)
{
	struct weir_gate_stats stats;
	struct weir_gate *gate;
	check(!weir__policy_gate(flow.policy, key_name(key), &gate));
	weir_gate_stats(gate, &stats);
	weir__policy_unref(flow.policy, gate);
	if (stats.breaker != WEIR_BREAKER_HALF_OPEN)
		return false;
	if (flow.probes_of[key] != stats.breaker_opened)
		flow.probes[key] = 0;
	flow.probes_of[key] = stats.breaker_opened;
	flow.probes[key]++;
	unsigned most = flow.order->flow.policy.breaker.probes;
	check(flow.probes[key] <= (most ? most : 3));
	return true;
}

static int call_upstream(unsigned id, struct weir_attempt *attempt)
{
	unsigned key = key_of(id);
	struct trouble_call call = {WEIR_OUTCOME_GOOD, {0}};
	check(++flow.in_flight[key] <= flow.most);
	check(!flow.paused || flow.paused_at == weir_now());
	bool probes = begin_probe(key);
	uint64_t of = flow.probes_of[key];
	int code = trouble_call(latency(), id, &call);
	flow.probes[key] -= probes && of == flow.probes_of[key];
	flow.in_flight[key]--;
	flow.watch.progress++;
	attempt->hint = call.hint;
	if (code)
		return code;
	if (call.outcome == WEIR_OUTCOME_GOOD)
		return 0;
	attempt->outcome = call.outcome;
	return WEIR_EIO;
}

static int call_job(void *job, struct weir_attempt *attempt, void *arg)
{
	(void)arg;
	return call_upstream(*(unsigned *)job, attempt);
}

/* Calls beside the runs, by the same policy. */
static int caller(void *arg)
{
	(void)arg;
	for (unsigned i = 0; i < CALLS; i++) {
		unsigned id = (unsigned)weir_random_below(&flow.random, KEYS_MOST);
		weir_nsec deadline = weir_random_below(&flow.random, 4) ? WEIR_FOREVER : weir_after(latency());
		weir_call_to(flow.policy, key_name(id), call_job, &id, deadline);
		flow.watch.progress++;
		if (weir_sleep(latency()))
			break;
	}
	return 0;
}

/* ---- jobs */

static unsigned ordering_number(unsigned id)
{
	unsigned orderings = flow.order->flow.orderings;
	return orderings && id % 5 ? 1 + id % orderings : 0;
}

/* A job that is due, or the next new one; JOBS_MOST: none. */
static unsigned find_job(struct run *run, weir_nsec *ret_next)
{
	*ret_next = run->away.n ? weir_heap_top(&run->away).key : WEIR_FOREVER;
	if (run->away.n && *ret_next <= weir_now()) {
		struct weir_heap_node *node = weir_heap_top(&run->away).node;
		weir_heap_remove(&run->away, node);
		return (unsigned)(node - run->nodes);
	}
	return run->produced < flow.order->flow.jobs ? run->produced++ : JOBS_MOST;
}

static int produce(void *arg, void *ret_job, weir_nsec deadline)
{
	struct run *run = arg;
	unsigned id;
	weir_nsec next;
	(void)deadline;
	if (run->produced < flow.order->flow.jobs && !weir_random_below(&flow.random, 20)) {
		int code = weir_sleep(latency());
		if (code)
			return code;
	}
	while ((id = find_job(run, &next)) == JOBS_MOST) {
		if (run->ended == flow.order->flow.jobs)
			return WEIR_ECLOSED;
		weir_event_clear(run->returned);
		if (weir_event_wait(run->returned, next) == WEIR_ECANCELED)
			return WEIR_ECANCELED;
	}
	check(run->state[id] == UNBORN || run->state[id] == AWAY);
	run->state[id] = INSIDE;
	*(struct job *)ret_job = (struct job){id, run->next_seq++};
	return 0;
}

/* All but the last leg only name the next upstream; the first one names none. */
static int call_in_legs(struct run *run, unsigned id, struct weir_attempt *attempt)
{
	unsigned legs = flow.order->flow.legs;
	if (attempt->cut)
		return WEIR_EIO;
	if (run->leg[id] + 1 < legs) {
		run->leg[id]++;
		attempt->next = key_name(id + legs - run->leg[id] - 1);
		return WEIR_EAGAIN;
	}
	run->leg[id] = 0;
	check(weir_attempt_may_call(attempt, key_name(id)));
	int code = call_upstream(id, attempt);
	if (code == WEIR_EIO && id % 2)
		weir_attempt_leave(attempt);
	return code;
}

static int work(void *at, struct weir_attempt *attempt, void *arg)
{
	struct run *run = arg;
	unsigned id = ((struct job *)at)->id, ordering = ordering_number(id);
	check(run->state[id] == INSIDE && attempt->number > run->attempts[id]);
	run->attempts[id] = attempt->number - 1;
	if (ordering)
		check(!run->ordering_busy[ordering] && run->ordering_last[ordering] <= id + 1);
	run->ordering_busy[ordering] = true;
	run->ordering_last[ordering] = id + 1;
	int code = call_in_legs(run, id, attempt);
	run->ordering_busy[ordering] = false;
	if (attempt->next)
		return code;
	attempt->permanent = code == WEIR_EIO && !weir_random_below(&flow.random, 50);
	return code;
}

static int done(void *arg, void *at, int result, const struct weir_attempt *last)
{
	struct run *run = arg;
	struct job *job = at;
	const struct order_op *slow = trouble_now(TROUBLE_SLOW_SINK);
	check(run->state[job->id] == INSIDE);
	check(result != WEIR_ECANCELED || run->stopped);
	if (run->process.flags & WEIR_PROCESS_ORDERED)
		check(job->seq == run->done_seq++);
	run->state[job->id] = ENDED;
	check(last->cut == WEIR_CUT_NONE || result < 0);
	run->ended++;
	flow.watch.progress++;
	if (slow)
		weir_sleep(slow->rank * WEIR_MSEC);
	weir_event_set(run->returned);
	return 0;
}

static int postpone(void *arg, void *at, weir_nsec due, const struct weir_attempt *last)
{
	struct run *run = arg;
	unsigned id = ((struct job *)at)->id;
	check(run->state[id] == INSIDE && !ordering_number(id));
	run->state[id] = AWAY;
	run->leg[id] = 0;
	weir_heap_add(&run->away, due, &run->nodes[id]);
	check(last->number == run->attempts[id] || last->number == run->attempts[id] + 1);
	run->attempts[id] = last->number;
	weir_event_set(run->returned);
	return 0;
}

static struct weir_attempts *attempts_of(void *arg, void *at)
{
	struct run *run = arg;
	unsigned id = ((const struct job *)at)->id;
	run->accounts[id].counted = run->attempts[id];
	run->accounts[id].history = flow.order->flow.tells ? &run->histories[id] : NULL;
	return &run->accounts[id];
}

static const char *job_key(void *arg, const void *at)
{
	(void)arg;
	return flow.order->flow.legs > 1 ? NULL : key_name(((const struct job *)at)->id);
}

static uint64_t job_ordering(void *arg, const void *at)
{
	(void)arg;
	return ordering_number(((const struct job *)at)->id);
}

static int64_t job_class(void *arg, const void *at)
{
	(void)arg;
	return ((const struct job *)at)->id % flow.order->flow.classes;
}

/* ---- a flow */

static void change(const struct order_op *op, bool on)
{
	const struct order_flow *opts = &flow.order->flow;
	bool any = opts->policy.pattern == WEIR_PATTERN_NAIVE;
	size_t concurrency = on ? op->rank : opts->policy.concurrency;
	if (op->kind == TROUBLE_PAUSE) {
		weir_policy_pause(flow.policy, flow.paused = on);
		flow.paused_at = weir_now();
	}
	if (op->kind == TROUBLE_RATE && !any)
		check(!weir_policy_set_rate(flow.policy, &(struct weir_rate_options){.count = on ? op->rank : 0}));
	if (op->kind == TROUBLE_CONCURRENCY && !any && (concurrency || opts->policy.pattern != WEIR_PATTERN_CHUNKED)) {
		if (concurrency > flow.most || !concurrency)
			flow.most = concurrency ? concurrency : SIZE_MAX;
		check(!weir_policy_set_concurrency(flow.policy, concurrency));
	}
	if (op->kind != TROUBLE_CANCEL || !on)
		return;
	for (unsigned i = 0; i < RUNS_MOST; i++)
		flow.run[i].stopped = true;
	weir_group_cancel(flow.runs);
}

static int run_process(void *arg)
{
	struct run *run = arg;
	struct weir_process_stats stats;
	int code = weir_process(&run->process, &stats, WEIR_FOREVER);
	check(code == 0 || (run->stopped && code == WEIR_ECANCELED));
	check(run->stopped || run->ended == flow.order->flow.jobs);
	for (unsigned i = 0; i < run->produced; i++)
		check(run->state[i] == ENDED || (run->stopped && run->state[i] == AWAY) ||
		      (run->stopped && i + 1 == run->produced && run->state[i] == UNBORN));
	return 0;
}

static void make_run(struct run *run)
{
	const struct order_flow *opts = &flow.order->flow;
	check(!weir_event_new(&run->returned) && !weir_heap_reserve(&run->away, JOBS_MOST));
	run->process = (struct weir_process){
		.policy = flow.policy,
		.job_bytes = sizeof(struct job),
		.arg = run,
		.flags = opts->flags | (opts->tells ? WEIR_PROCESS_TELL : 0),
		.produce = produce,
		.work = work,
		.done = done,
		.key = opts->keys || opts->legs > 1 ? job_key : NULL,
		.ordering_key = opts->orderings ? job_ordering : NULL,
		.priority = opts->classes ? job_class : NULL,
		.postpone = opts->postpones ? postpone : NULL,
		.attempts = attempts_of,
	};
	check(!weir_group_spawn(flow.runs, run_process, run, WEIR_FOREVER));
}

/* The most at once, before anything is changed. */
static size_t most_of(struct weir_policy *policy)
{
	struct weir_gate_stats stats;
	struct weir_gate *gate;
	check(!weir__policy_gate(policy, "", &gate));
	weir_gate_stats(gate, &stats);
	weir__policy_unref(policy, gate);
	return stats.adaptive ? SIZE_MAX : stats.limit;
}

static int tell_gate(void *arg, const char *key, const struct weir_gate_stats *stats)
{
	(void)arg;
	fprintf(stderr, "gate \"%s\": %zu of %zu in flight, %zu wait, breaker %s, held by %s\n", key, stats->in_flight,
		stats->limit, stats->waiting, weir_breaker_state_name(stats->breaker),
		weir_held_by_name(stats->held_by));
	return 0;
}

static void tell(void)
{
	weir_policy_gates(flow.policy, tell_gate, NULL);
	for (unsigned i = 0; i < flow.order->flow.runs; i++)
		fprintf(stderr, "run %u: %u of %u jobs produced, %u ended, at %lld\n", i, flow.run[i].produced,
			flow.order->flow.jobs, flow.run[i].ended, (long long)weir_now());
}

static int run_flow(void *arg)
{
	const struct order *order = arg;
	struct weir_group *callers, *helpers;
	memset(&flow, 0, sizeof flow);
	flow.order = order;
	flow.random = order->schedule + 7;
	flow.watch = (struct trouble_watch){.patience = PATIENCE, .tell = tell};
	trouble_begin(order);
	check(!weir_policy_new(&order->flow.policy, &flow.policy, NULL));
	if (order->flow.found)
		check(!weir_policy_set_concurrency(flow.policy, 0));
	flow.most = most_of(flow.policy);
	check(!weir_group_new(NULL, &flow.runs) && !weir_group_new(NULL, &callers) && !weir_group_new(NULL, &helpers));
	for (unsigned i = 0; i < order->flow.runs; i++)
		make_run(&flow.run[i]);
	for (unsigned i = 0; i < order->flow.callers; i++)
		check(!weir_group_spawn(callers, caller, NULL, WEIR_FOREVER));
	trouble_changes(helpers, change);
	check(!weir_group_spawn(helpers, trouble_watch, &flow.watch, WEIR_FOREVER));
	weir_group_wait(flow.runs, WEIR_FOREVER);
	check(!weir_group_wait(callers, WEIR_FOREVER));
	weir_group_cancel(helpers);
	weir_group_wait(helpers, WEIR_FOREVER);
	for (unsigned i = 0; i < order->flow.runs; i++) {
		weir_event_free(flow.run[i].returned);
		weir_heap_fini(&flow.run[i].away);
	}
	weir_group_free(flow.runs);
	weir_group_free(callers);
	weir_group_free(helpers);
	weir_policy_free(flow.policy);
	return 0;
}

static void draw(struct order *order, uint64_t *random)
{
	trouble_draw(order, random, 90000);
	flow_draw(order, random);
}

const struct order_object order_flow = {"flow", draw, run_flow, flow_simplify, trouble_print_op, flow_print};
