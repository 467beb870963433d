/* SPDX-License-Identifier: MIT */
#include "fleet/watch.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <weir/table.h>

struct member {
	struct weir_table_node node;
	uint64_t number;
	weir_nsec since;      /* when it was first seen with this number */
	uint64_t first, last; /* the rounds in which it was seen so: the first and the last */
	TAILQ_ENTRY(member) others;
	char name[];
};

struct fleet_watch {
	weir_nsec lease, now;      /* now: of the last round */
	uint64_t rounds, unbroken; /* since which round there was no gap */
	struct weir_table members;
	TAILQ_HEAD(members, member) by_silence; /* the same, whose number moved longest ago first */
	struct member *self;                    /* NULL: not seen yet */
	const struct weir_table_node *asked;    /* the last that fleet_watch_victim() looked at */
	size_t to_ask;                          /* how many it has not looked at */
	char own_name[];
};

static struct member *member_of(const struct weir_table_node *node)
{
	return (struct member *)((char *)(uintptr_t)node - offsetof(struct member, node));
}

int fleet_watch_new(const char *own_name, weir_nsec lease, struct fleet_watch **ret_watch)
{
	size_t bytes = strlen(own_name) + 1;
	struct fleet_watch *watch = calloc(1, sizeof *watch + bytes);
	if (!watch)
		return WEIR_ENOMEM;
	watch->lease = lease;
	TAILQ_INIT(&watch->by_silence);
	memcpy(watch->own_name, own_name, bytes);
	*ret_watch = watch;
	return 0;
}

/* Those that were last seen in another round than this one; 0: all. */
static void forget(struct fleet_watch *watch, uint64_t round)
{
	struct weir_table_node *next;
	for (struct weir_table_node *node = weir_table_next(&watch->members, NULL); node; node = next) {
		next = weir_table_next(&watch->members, node);
		if (round && member_of(node)->last == round)
			continue;
		weir_table_remove(&watch->members, node);
		TAILQ_REMOVE(&watch->by_silence, member_of(node), others);
		free(member_of(node));
	}
}

void fleet_watch_free(struct fleet_watch *watch)
{
	if (!watch)
		return;
	forget(watch, 0);
	weir_table_fini(&watch->members);
	free(watch);
}

static struct member *find(const struct fleet_watch *watch, const char *name)
{
	struct weir_table_node *node = weir_table_find(&watch->members, weir_hash_text(0, name));
	while (node && strcmp(member_of(node)->name, name) != 0)
		node = weir_table_again(node);
	return node ? member_of(node) : NULL;
}

static struct member *add(struct fleet_watch *watch, const char *name)
{
	size_t bytes = strlen(name) + 1;
	struct member *member = calloc(1, sizeof *member + bytes);
	if (!member || weir_table_reserve(&watch->members)) {
		free(member);
		return NULL;
	}
	memcpy(member->name, name, bytes);
	weir_table_add(&watch->members, &member->node, weir_hash_text(0, name));
	TAILQ_INSERT_TAIL(&watch->by_silence, member, others);
	return member;
}

static int note(struct fleet_watch *watch, const struct fleet_seen *seen)
{
	struct member *member = find(watch, seen->name);
	bool is_new = !member;
	if (is_new && !(member = add(watch, seen->name)))
		return WEIR_ENOMEM;
	if (is_new || member->number != seen->number) {
		member->number = seen->number;
		member->since = watch->now;
		member->first = watch->rounds;
		TAILQ_REMOVE(&watch->by_silence, member, others);
		TAILQ_INSERT_TAIL(&watch->by_silence, member, others);
	}
	member->last = watch->rounds;
	return 0;
}

/* Who was away himself cannot say that others did not move: from here on it takes as many rounds again. */
static weir_nsec longest_gap(const struct fleet_watch *watch)
{
	weir_nsec part = watch->lease / FLEET_ROUNDS;
	return part > 3 * WEIR_SEC ? part : 3 * WEIR_SEC;
}

int fleet_watch_round(struct fleet_watch *watch, const struct fleet_seen *seen, size_t n, weir_nsec now)
{
	int code = 0;
	if (now - watch->now > longest_gap(watch))
		watch->unbroken = watch->rounds + 1;
	watch->now = now;
	watch->rounds++;
	for (size_t i = 0; i < n; i++)
		if (note(watch, &seen[i]))
			code = WEIR_ENOMEM;
	forget(watch, watch->rounds);
	watch->asked = NULL;
	watch->self = find(watch, watch->own_name);
	watch->to_ask = watch->members.n;
	return code;
}

/* The one behind it, or the first, but not this process itself. */
static const struct member *next_by_silence(const struct fleet_watch *watch, const struct member *member)
{
	member = member ? TAILQ_NEXT(member, others) : TAILQ_FIRST(&watch->by_silence);
	return member && member == watch->self ? TAILQ_NEXT(member, others) : member;
}

bool fleet_watch_silent(const struct fleet_watch *watch, weir_nsec duration, weir_nsec now, const void **at,
			struct fleet_seen *ret_silent)
{
	const struct member *member = next_by_silence(watch, *at);
	if (!member || now - member->since < duration)
		return false;
	*at = member;
	*ret_silent = (struct fleet_seen){.name = member->name, .number = member->number};
	return true;
}

weir_nsec fleet_watch_next_silence(const struct fleet_watch *watch, weir_nsec duration, weir_nsec now)
{
	const struct member *member = next_by_silence(watch, NULL);
	while (member && now - member->since >= duration)
		member = next_by_silence(watch, member);
	return member ? member->since + duration : WEIR_FOREVER;
}

/* From this process itself on, so that watchers, which would all find the same ones, begin at different places. */
bool fleet_watch_victim(struct fleet_watch *watch, struct fleet_seen *ret_victim)
{
	if (!watch->asked && watch->self)
		watch->asked = &watch->self->node;
	while (watch->to_ask) {
		watch->to_ask--;
		watch->asked = weir_table_next(&watch->members, watch->asked);
		if (!watch->asked)
			watch->asked = weir_table_next(&watch->members, NULL);
		const struct member *member = member_of(watch->asked);
		uint64_t first = member->first > watch->unbroken ? member->first : watch->unbroken;
		if (member == watch->self || watch->rounds < first + FLEET_ROUNDS ||
		    watch->now - member->since < watch->lease)
			continue;
		*ret_victim = (struct fleet_seen){.name = member->name, .number = member->number};
		return true;
	}
	return false;
}

size_t fleet_watch_count(const struct fleet_watch *watch)
{
	return watch->members.n;
}
