/* SPDX-License-Identifier: MIT */
/*
 * What a queue counts.  Numbers of items follow from what the queue keeps anyway; times are weir_now(), taken only
 * by calls that wait and for items in slots.
 *
 * The time that items are in hand needs no stamp on any of them: the sum over all items of (task_done - get) is the sum
 * of the one less the sum of the other, whichever belongs to which.
 */
#include "sync/queue.h"

#include <stdlib.h>

static int make_classes(struct weir_queue *queue, const struct weir_queue_options *opts)
{
	unsigned n = opts->classes && queue->order == WEIR_PRIORITY ? opts->classes : 1;
	queue->classes = calloc(n, sizeof *queue->classes);
	if (!queue->classes)
		return WEIR_ENOMEM;
	for (; queue->n_classes < n; queue->n_classes++) {
		struct weir__queue_class *class = &queue->classes[queue->n_classes];
		class->sla = opts->sla && queue->order == WEIR_PRIORITY ? opts->sla[queue->n_classes] : 0;
		if (weir_histogram_new(&class->times))
			return WEIR_ENOMEM;
	}
	return 0;
}

int weir__queue_stats_init(struct weir_queue *queue, const struct weir_queue_options *opts)
{
	if (opts->name && !(queue->name = strdup(opts->name)))
		return WEIR_ENOMEM;
	if (opts->flags & WEIR_QUEUE_TIMED &&
	    (weir_histogram_new(&queue->put_waits.times) || weir_histogram_new(&queue->get_waits.times)))
		return WEIR_ENOMEM;
	return queue->has_slots ? make_classes(queue, opts) : 0;
}

void weir__queue_stats_fini(struct weir_queue *queue)
{
	for (unsigned i = 0; i < queue->n_classes; i++)
		weir_histogram_free(queue->classes[i].times);
	free(queue->classes);
	weir_histogram_free(queue->put_waits.times);
	weir_histogram_free(queue->get_waits.times);
	free(queue->name);
}

int weir__queue_wait_timed(struct weir__waitlist *list, struct weir__queue_waiter *self, weir_nsec deadline,
			   struct weir__queue_waits *waits)
{
	weir_nsec since = weir_now();
	int code = weir__wait(list, &self->waiter, deadline);
	if (self->waiter.fiber) { /* it did wait */
		waits->n++;
		waits->total += weir_now() - since;
		weir_histogram_record(waits->times, weir_now() - since);
	}
	return code;
}

void weir__queue_count_got(struct weir_queue *queue, const struct weir__queue_slot *slot, int64_t rank)
{
	weir_nsec now = weir_now(), waited = slot ? now - slot->entered : 0;
	bool is_edf = queue->order == WEIR_EDF;
	unsigned last = queue->n_classes - 1;
	bool is_lower = queue->order == WEIR_PRIORITY && rank < last;
	struct weir__queue_class *class = &queue->classes[is_lower ? (unsigned)rank : last];
	queue->in_hand_ns -= (uint64_t)now;
	class->got++;
	weir_histogram_record(class->times, waited);
	if (slot && slot->older)
		class->overtook++;
	if (is_edf ? rank != WEIR_FOREVER && rank < now : class->sla && waited > class->sla)
		class->breaches++;
}

static struct weir_queue_waits public_waits(const struct weir__queue_waits *waits)
{
	return (struct weir_queue_waits){waits->n, waits->total, waits->times};
}

void weir_queue_stats(const struct weir_queue *queue, struct weir_queue_stats *ret_stats)
{
	size_t size = weir__queue_size(queue);
	uint64_t put = queue->counted + queue->tail, in_hand = queue->unsettled - size;
	*ret_stats = (struct weir_queue_stats){
		.name = queue->name,
		.put = put,
		.got = put - size - queue->dropped,
		.settled = put - queue->unsettled,
		.dropped = queue->dropped,
		.size = size,
		.reserved = queue->reserved,
		.in_hand = queue->has_slots ? (weir_nsec)(queue->in_hand_ns + in_hand * (uint64_t)weir_now()) : 0,
		.puts = public_waits(&queue->put_waits),
		.gets = public_waits(&queue->get_waits),
		.classes = queue->n_classes,
	};
}

int weir_queue_class_stats(const struct weir_queue *queue, unsigned class_index,
			   struct weir_queue_class_stats *ret_stats)
{
	if (class_index >= queue->n_classes)
		return WEIR_EINVAL;
	const struct weir__queue_class *class = &queue->classes[class_index];
	*ret_stats = (struct weir_queue_class_stats){class->got, class->overtook, class->breaches, class->times};
	return 0;
}
