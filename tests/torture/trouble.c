/* SPDX-License-Identifier: MIT */
#include "torture/trouble.h"

#include <stdlib.h>

static struct {
	const struct order *order;
	weir_nsec began;
	uint64_t random;
	size_t under_way;
} trouble;

static const char *const names[] = {
	[TROUBLE_OUTAGE] = "outage",
	[TROUBLE_FLAKY] = "one call fails of",
	[TROUBLE_BUSY] = "429",
	[TROUBLE_BUSY_HINT] = "429, to come back in ms",
	[TROUBLE_LIMITED] = "429 over so many at once",
	[TROUBLE_QUOTA] = "tells of a quota of, per s",
	[TROUBLE_HANG] = "hangs",
	[TROUBLE_SLOW] = "slower by the factor",
	[TROUBLE_DENIED] = "denied",
	[TROUBLE_BAD] = "an error to every n-th job, of",
	[TROUBLE_BUSY_JOB] = "429 to every n-th job, of",
	[TROUBLE_SLOW_SINK] = "sink takes ms",
	[TROUBLE_CONCURRENCY] = "concurrency",
	[TROUBLE_RATE] = "rate, per s",
	[TROUBLE_PAUSE] = "paused",
	[TROUBLE_CANCEL] = "cancelled",
};

static unsigned draw_rank(enum trouble_kind kind, uint64_t *random)
{
	switch (kind) {
	case TROUBLE_BUSY_HINT:
		return 1 + order_random(random, 10000);
	case TROUBLE_QUOTA:
		return 20 + order_random(random, 200);
	case TROUBLE_SLOW:
		return 2 + order_random(random, 30);
	case TROUBLE_SLOW_SINK:
		return 1 + order_random(random, 100);
	case TROUBLE_RATE:
		return order_random(random, 3) ? 10 + order_random(random, 500) : 0;
	case TROUBLE_CONCURRENCY:
		return order_random(random, 12);
	default:
		return 2 + order_random(random, 8);
	}
}

void trouble_draw(struct order *order, uint64_t *random, unsigned longest)
{
	order->n = order_random(random, 8);
	for (size_t i = 0; i < order->n; i++) {
		struct order_op *op = &order->ops[i];
		op->kind = (int)order_random(random, TROUBLE_KINDS);
		if (op->kind == TROUBLE_CANCEL && order_random(random, 4))
			op->kind = TROUBLE_OUTAGE;
		op->wait = (int)order_random(random, order_random(random, 2) ? 300 : longest);
		op->n = 1 + order_random(random, order_random(random, 2) ? 1000 : longest);
		op->rank = draw_rank(op->kind, random);
	}
}

void trouble_print_op(const struct order *order, const struct order_op *op)
{
	(void)order;
	printf("from %d ms for %u ms: %s %u", op->wait, op->n, names[op->kind], op->rank);
}

void trouble_begin(const struct order *order)
{
	trouble.order = order;
	trouble.began = weir_now();
	trouble.random = order->schedule + 1;
	trouble.under_way = 0;
}

static weir_nsec begin_of(const struct order_op *op)
{
	return trouble.began + op->wait * WEIR_MSEC;
}

static weir_nsec end_of(const struct order_op *op)
{
	return begin_of(op) + op->n * WEIR_MSEC;
}

weir_nsec trouble_end(void)
{
	weir_nsec end = trouble.began;
	for (size_t i = 0; i < trouble.order->n; i++)
		if (end_of(&trouble.order->ops[i]) > end)
			end = end_of(&trouble.order->ops[i]);
	return end;
}

bool trouble_has(enum trouble_kind kind)
{
	for (size_t i = 0; i < trouble.order->n; i++)
		if (trouble.order->ops[i].kind == (int)kind)
			return true;
	return false;
}

const struct order_op *trouble_now(enum trouble_kind kind)
{
	weir_nsec now = weir_now();
	for (size_t i = 0; i < trouble.order->n; i++) {
		const struct order_op *op = &trouble.order->ops[i];
		if (op->kind == (int)kind && begin_of(op) <= now && now < end_of(op))
			return op;
	}
	return NULL;
}

/* ---- a call */

static bool is_one_of(const struct order_op *op, unsigned job)
{
	return op && job % op->rank == 0;
}

static struct trouble_call answer(unsigned job)
{
	const struct order_op *op;
	struct trouble_call call = {WEIR_OUTCOME_GOOD, {0}};
	if ((op = trouble_now(TROUBLE_BUSY_HINT)))
		call = (struct trouble_call){WEIR_OUTCOME_THROTTLED, {.retry_after = op->rank * WEIR_MSEC}};
	else if (trouble_now(TROUBLE_BUSY))
		call.outcome = WEIR_OUTCOME_THROTTLED;
	else if ((op = trouble_now(TROUBLE_LIMITED)) && trouble.under_way > op->rank)
		call.outcome = WEIR_OUTCOME_THROTTLED;
	else if (trouble_now(TROUBLE_OUTAGE))
		call.outcome = WEIR_OUTCOME_FAILED;
	else if (is_one_of(trouble_now(TROUBLE_BUSY_JOB), job))
		call.outcome = WEIR_OUTCOME_THROTTLED;
	else if (trouble_now(TROUBLE_DENIED))
		call.outcome = WEIR_OUTCOME_DENIED;
	else if (is_one_of(trouble_now(TROUBLE_BAD), job))
		call.outcome = WEIR_OUTCOME_ERROR;
	else if ((op = trouble_now(TROUBLE_FLAKY)) && !weir_random_below(&trouble.random, op->rank))
		call.outcome = WEIR_OUTCOME_FAILED;
	if ((op = trouble_now(TROUBLE_QUOTA)))
		call.hint.quota = op->rank, call.hint.window = WEIR_SEC;
	return call;
}

int trouble_call(weir_nsec latency, unsigned job, struct trouble_call *ret_call)
{
	const struct order_op *op = trouble_now(TROUBLE_SLOW);
	trouble.under_way++;
	struct trouble_call call = answer(job);
	if (op)
		latency *= op->rank;
	if (call.outcome != WEIR_OUTCOME_GOOD) /* it is quick to say no */
		latency /= 4;
	op = trouble_now(TROUBLE_HANG);
	int code = op ? weir_sleep_until(end_of(op)) : latency ? weir_sleep(latency) : 0;
	trouble.under_way--;
	if (!code)
		*ret_call = call;
	return code;
}

/* ---- changes */

static void (*make_change)(const struct order_op *op, bool on);

static int change_later(void *arg)
{
	const struct order_op *op = arg;
	if (weir_sleep_until(begin_of(op)))
		return 0;
	make_change(op, true);
	if (!weir_sleep_until(end_of(op)))
		make_change(op, false);
	return 0;
}

void trouble_changes(struct weir_group *group, void (*change)(const struct order_op *op, bool on))
{
	make_change = change;
	for (size_t i = 0; i < trouble.order->n; i++)
		if (trouble.order->ops[i].kind >= TROUBLE_CONCURRENCY)
			check(!weir_group_spawn(group, change_later, (void *)(uintptr_t)&trouble.order->ops[i],
						WEIR_FOREVER));
}

/* ---- progress */

int trouble_watch(void *arg)
{
	struct trouble_watch *watch = arg;
	uint64_t seen = watch->progress;
	weir_nsec since = trouble_end();
	while (!weir_sleep(WEIR_SEC)) {
		if (watch->progress != seen) {
			seen = watch->progress;
			since = weir_now();
		}
		if (weir_now() - since > watch->patience && watch->tell)
			watch->tell();
		check(weir_now() - since <= watch->patience); /* else it stands still */
	}
	return 0;
}
