/* SPDX-License-Identifier: MIT */
/*
 * A gate is a time and a count of refusals in a row.  Only hosts that refused have one, so the table is empty in a run
 * without refusals and then costs a comparison per request.
 */
#include "http/gate.h"

#include "http/table.h"
#include <stdlib.h>

#define MOST_STRIKES 20

struct gate {
	struct http_entry entry; /* first */
	weir_nsec until;
	unsigned strikes; /* refusals in a row, each after the gate had opened again */
};

struct http_gates {
	struct http_table table;
	size_t most;
	weir_nsec longest;
};

int http_gates_new(size_t most, weir_nsec longest, struct http_gates **ret_gates)
{
	struct http_gates *gates = calloc(1, sizeof *gates);
	if (!gates)
		return WEIR_ENOMEM;
	gates->most = most;
	gates->longest = longest;
	if (http_table_init(&gates->table, 1024) < 0) {
		free(gates);
		return WEIR_ENOMEM;
	}
	*ret_gates = gates;
	return 0;
}

static void forget_oldest(struct http_gates *gates)
{
	struct http_entry *oldest = TAILQ_FIRST(&gates->table.ages);
	http_table_remove(&gates->table, oldest);
	free(oldest);
}

void http_gates_free(struct http_gates *gates)
{
	if (!gates)
		return;
	while (gates->table.n)
		forget_oldest(gates);
	http_table_fini(&gates->table);
	free(gates);
}

static struct gate *find_gate(struct http_gates *gates, const char *origin)
{
	return gates->table.n ? (struct gate *)http_table_find(&gates->table, origin) : NULL;
}

static struct gate *make_gate(struct http_gates *gates, const char *origin)
{
	while (gates->table.n >= gates->most)
		forget_oldest(gates);
	struct gate *gate = calloc(1, sizeof *gate);
	if (gate && http_table_add(&gates->table, &gate->entry, origin) < 0) {
		free(gate);
		return NULL;
	}
	return gate;
}

weir_nsec http_gates_closed_until(struct http_gates *gates, const char *origin, weir_nsec now)
{
	const struct gate *gate = find_gate(gates, origin);
	return gate && gate->until > now ? gate->until : 0;
}

weir_nsec http_gates_refused(struct http_gates *gates, const char *origin, weir_nsec wait, weir_nsec now)
{
	struct gate *gate = find_gate(gates, origin);
	if (!gate)
		gate = make_gate(gates, origin);
	bool was_open = !gate || gate->until <= now;
	unsigned strikes = gate ? gate->strikes : 0;
	if (wait < 0 && !was_open)
		return gate->until;
	if (wait < 0)
		wait = WEIR_SEC << strikes;
	if (wait > gates->longest)
		wait = gates->longest;
	if (!gate)
		return now + wait;
	if (was_open && gate->strikes < MOST_STRIKES)
		gate->strikes++;
	if (gate->until < now + wait)
		gate->until = now + wait;
	return gate->until;
}

void http_gates_answered(struct http_gates *gates, const char *origin, weir_nsec now)
{
	struct gate *gate = find_gate(gates, origin);
	if (!gate || gate->until > now)
		return;
	http_table_remove(&gates->table, &gate->entry);
	free(gate);
}

size_t http_gates_closed(const struct http_gates *gates, weir_nsec now)
{
	size_t n = 0;
	const struct http_entry *entry;
	TAILQ_FOREACH(entry, &gates->table.ages, age)
	n += ((const struct gate *)entry)->until > now;
	return n;
}
