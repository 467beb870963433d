/* SPDX-License-Identifier: MIT */
#include "memory/line.h"

#include <weir/weir.h>

#define AGING (5 * WEIR_SEC)

static struct item *item_of(struct weir_heap_node *node)
{
	return (struct item *)((char *)node - offsetof(struct item, waiting));
}

static struct item *pop(struct weir_heap *heap)
{
	struct weir_heap_node *node = weir_heap_top(heap).node;
	weir_heap_remove(heap, node);
	return item_of(node);
}

/* ---- ready */

/* With classes, too, it stays the same: urgency grows as fast for all. */
static int64_t key_of(const struct broker_line *line, const struct item *item)
{
	weir_nsec aging = line->opts.aging ? line->opts.aging : AGING;
	int64_t key;
	if (!line->opts.class_of)
		return item->place;
	if (__builtin_mul_overflow(item->class, aging, &key) || __builtin_add_overflow(key, item->place, &key))
		return INT64_MAX;
	return key;
}

/* The heap in which it is when it is ready; NULL: it is fresh, and there are no classes. */
static struct weir_heap *heap_of(struct broker_line *line, const struct item *item)
{
	if (item->attempts)
		return &line->again;
	if (item->attempt_state.taken || item->due)
		return &line->deferred;
	return line->opts.class_of ? &line->ranked : NULL;
}

static void make_ready(struct broker_line *line, struct item *item)
{
	struct weir_heap *heap = heap_of(line, item);
	if (heap)
		weir_heap_add(heap, key_of(line, item), &item->waiting);
	else
		STAILQ_INSERT_TAIL(&line->fresh, item, behind);
	if (!line->n++ || line->opts.only)
		weir_event_set(line->changed);
}

/* Takes that item if it is ready; else NULL.  No other in memory came before it, so of those that are fresh it is the
 * first. */
static struct item *take_only(struct broker_line *line, const struct item *only)
{
	struct weir_heap *heap = heap_of(line, only);
	struct item *item = NULL;
	size_t index = only->waiting.index;
	if (heap && index && index <= heap->n && heap->entries[index].node == &only->waiting) {
		item = item_of(heap->entries[index].node);
		weir_heap_remove(heap, &item->waiting);
	} else if (!heap && STAILQ_FIRST(&line->fresh) == only) {
		item = STAILQ_FIRST(&line->fresh);
		STAILQ_REMOVE_HEAD(&line->fresh, behind);
	}
	return item;
}

/* The one of two heaps whose top has the smaller key; NULL is an empty one. */
static struct weir_heap *sooner(struct weir_heap *a, struct weir_heap *b)
{
	if (!a || !a->n)
		return b && b->n ? b : NULL;
	return b && b->n && weir_heap_top(b).key < weir_heap_top(a).key ? b : a;
}

static struct item *next_item(struct broker_line *line)
{
	bool retries = line->again.n && !(line->opts.fresh_first && line->opts.fresh_first(line->opts.arg));
	struct weir_heap *heap = sooner(&line->deferred, retries ? &line->again : NULL);
	struct item *item = STAILQ_FIRST(&line->fresh);
	if (line->opts.class_of)
		heap = sooner(heap, &line->ranked);
	if (heap || !item)
		return pop(heap ? heap : &line->again);
	STAILQ_REMOVE_HEAD(&line->fresh, behind);
	return item;
}

/* NULL: there is none that may be handed out. */
static struct item *take_one(struct broker_line *line)
{
	if (!line->n)
		return NULL;
	const struct item *only = line->opts.only ? line->opts.only(line->opts.arg) : NULL;
	struct item *item = only ? take_only(line, only) : next_item(line);
	line->n -= item != NULL;
	return item;
}

int broker_line_take(struct broker_line *line, struct item **ret_items, size_t max, weir_nsec deadline)
{
	size_t n = 0;
	if (weir_canceled())
		return WEIR_ECANCELED;
	while (!(ret_items[0] = take_one(line))) {
		if (line->closed)
			return WEIR_ECLOSED;
		weir_event_clear(line->changed);
		int code = weir_event_wait(line->changed, deadline);
		if (code)
			return code;
	}
	do
		n++;
	while (n < max && (ret_items[n] = take_one(line)));
	line->leased += n;
	return (int)n;
}

/* ---- waiting */

static void wait_until_due(struct broker_line *line, struct item *item)
{
	bool is_first = !line->waiting.n || item->due < weir_heap_top(&line->waiting).key;
	weir_heap_add(&line->waiting, item->due, &item->waiting);
	if (is_first)
		weir_event_set(line->earlier);
}

static int move_due(void *arg)
{
	struct broker_line *line = arg;
	for (;;) {
		weir_event_clear(line->earlier);
		while (!line->closed && line->waiting.n && weir_heap_top(&line->waiting).key <= weir_now())
			make_ready(line, pop(&line->waiting));
		bool waits = line->waiting.n && !line->closed;
		int code = weir_event_wait(line->earlier, waits ? weir_heap_top(&line->waiting).key : WEIR_FOREVER);
		if (code == WEIR_ECANCELED)
			return 0;
	}
}

void broker_line_give_back(struct broker_line *line, struct item *item, weir_nsec wait)
{
	line->leased--;
	item->due = weir_now() + wait;
	wait_until_due(line, item);
}

void broker_line_add(struct broker_line *line, struct item *item)
{
	weir_nsec now = weir_now();
	line->last_place = now > line->last_place ? now : line->last_place + 1;
	item->place = line->last_place;
	if (!item->stay.queued)
		item->stay.queued = now;
	item->class = line->opts.class_of ? line->opts.class_of(line->opts.arg, item) : 0;
	if (line->opts.came)
		line->opts.came(line->opts.arg, item);
	if (item->due > now)
		wait_until_due(line, item);
	else
		make_ready(line, item);
}

/* ---- life */

int broker_line_open(struct broker_line *line, const struct broker_options *opts, size_t most)
{
	static const struct weir_spawn_options mover = {.name = "mover"};
	line->opts = *opts;
	STAILQ_INIT(&line->fresh);
	int code = weir_event_new(&line->changed);
	if (!code)
		code = weir_event_new(&line->earlier);
	if (!code)
		code = weir_heap_reserve(&line->waiting, most);
	if (!code)
		code = weir_heap_reserve(&line->deferred, most);
	if (!code)
		code = weir_heap_reserve(&line->again, most);
	if (!code && opts->class_of)
		code = weir_heap_reserve(&line->ranked, most);
	if (!code)
		code = weir_group_new(NULL, &line->mover);
	return code ? code : weir_group_spawn_with(line->mover, &mover, move_due, line, WEIR_FOREVER);
}

void broker_line_close(struct broker_line *line)
{
	line->closed = true;
	weir_event_set(line->changed);
}

void broker_line_free(struct broker_line *line)
{
	if (line->mover) {
		weir_group_cancel(line->mover);
		weir_shield_enter();
		weir_group_wait(line->mover, WEIR_FOREVER);
		weir_shield_leave();
	}
	line->opts.only = NULL;
	while (line->n)
		item_free(take_one(line));
	while (line->waiting.n)
		item_free(pop(&line->waiting));
	weir_group_free(line->mover);
	weir_heap_fini(&line->waiting);
	weir_heap_fini(&line->deferred);
	weir_heap_fini(&line->again);
	weir_heap_fini(&line->ranked);
	weir_event_free(line->changed);
	weir_event_free(line->earlier);
}
