/* SPDX-License-Identifier: MIT */
/*
 * What a queue counts.  Numbers of items follow from what the queue keeps anyway; times are weir_now(), taken only
 * by calls that wait and for items in slots.
 *
 * The time that items are in hand needs no stamp on any of them: the sum over all items of (task_done - get) is the sum
 * of the one less the sum of the other, whichever belongs to which.  For its percentiles those in hand stand in a line,
 * and each task_done settles the first.  Items of a class that were got in the same turn stand together, so the line is
 * short; it has a bound all the same, at whose end is one run of all that found no room:
 *
 *     first_run ->  turn 7, class 0, 3 items | turn 7, class 2, 1 | turn 9, class 0, 50 | ... | untimed, 812
 */
#include "sync/queue.h"

#include <stdlib.h>

static int make_classes(struct weir_queue *queue, const struct weir_queue_options *opts)
{
	unsigned n = opts->classes && queue->order == WEIR_PRIORITY ? opts->classes : 1;
	queue->classes = calloc(n, sizeof *queue->classes);
	if (!queue->classes)
		return WEIR_ENOMEM;
	queue->n_classes = n;
	for (unsigned i = 0; i < n; i++) {
		struct weir__queue_class *class = &queue->classes[i];
		class->sla = opts->sla && queue->order == WEIR_PRIORITY ? opts->sla[i] : 0;
		if (weir_histogram_new(&class->times) || (n > 1 && weir_histogram_new(&class->tasks)))
			return WEIR_ENOMEM;
	}
	if (weir_histogram_new(&queue->tasks))
		return WEIR_ENOMEM;
	if (n == 1)
		queue->classes[0].tasks = queue->tasks;
	queue->in_hand = calloc(WEIR__QUEUE_RUNS, sizeof *queue->in_hand);
	return queue->in_hand ? 0 : WEIR_ENOMEM;
}

int weir__queue_stats_init(struct weir_queue *queue, const struct weir_queue_options *opts)
{
	if (opts->name && !(queue->name = strdup(opts->name)))
		return WEIR_ENOMEM;
	if ((opts->flags & WEIR_QUEUE_TIMED || opts->name) &&
	    (weir_histogram_new(&queue->put_waits.times) || weir_histogram_new(&queue->get_waits.times)))
		return WEIR_ENOMEM;
	return queue->has_slots ? make_classes(queue, opts) : 0;
}

void weir__queue_stats_fini(struct weir_queue *queue)
{
	for (unsigned i = 0; i < queue->n_classes; i++) {
		weir_histogram_free(queue->classes[i].times);
		if (queue->n_classes > 1)
			weir_histogram_free(queue->classes[i].tasks);
	}
	weir_histogram_free(queue->tasks);
	free(queue->in_hand);
	free(queue->classes);
	weir_histogram_free(queue->put_waits.times);
	weir_histogram_free(queue->get_waits.times);
	free(queue->name);
}

/* ---- items */

static struct weir__queue_run *run_at(const struct weir_queue *queue, size_t at)
{
	return &queue->in_hand[(queue->first_run + at) % WEIR__QUEUE_RUNS];
}

static void take_in_hand(struct weir_queue *queue, unsigned class, weir_nsec now)
{
	struct weir__queue_run *last = run_at(queue, queue->n_runs - 1); /* if there is none, one used up: n is 0 */
	if (last->n && last->got_at == now && last->class == class) {
		last->n++;
		return;
	}
	if (queue->n_runs >= WEIR__QUEUE_RUNS - 1)
		class = WEIR__UNTIMED;
	if (queue->n_runs == WEIR__QUEUE_RUNS)
		last->n++;
	else
		*run_at(queue, queue->n_runs++) = (struct weir__queue_run){now, 1, class};
}

void weir__queue_count_settled(struct weir_queue *queue)
{
	struct weir__queue_run *first = run_at(queue, 0);
	weir_nsec now = weir_now();
	queue->in_hand_ns += (uint64_t)now;
	if (first->class == WEIR__UNTIMED) {
		queue->untimed++;
	} else {
		weir_histogram_record(queue->tasks, now - first->got_at);
		if (queue->n_classes > 1)
			weir_histogram_record(queue->classes[first->class].tasks, now - first->got_at);
	}
	if (!--first->n) {
		queue->first_run = (queue->first_run + 1) % WEIR__QUEUE_RUNS;
		queue->n_runs--;
	}
}

void weir__queue_count_got(struct weir_queue *queue, const struct weir__queue_slot *slot, int64_t rank)
{
	weir_nsec now = weir_now(), waited = slot ? now - slot->entered : 0;
	bool is_edf = queue->order == WEIR_EDF;
	unsigned last = queue->n_classes - 1;
	bool is_lower = queue->order == WEIR_PRIORITY && rank < last;
	unsigned index = is_lower ? (unsigned)rank : last;
	struct weir__queue_class *class = &queue->classes[index];
	queue->in_hand_ns -= (uint64_t)now;
	take_in_hand(queue, index, now);
	class->got++;
	weir_histogram_record(class->times, waited);
	if (slot && slot != TAILQ_FIRST(&queue->held))
		class->overtook++;
	if (is_edf ? rank != WEIR_FOREVER && rank < now : class->sla && waited > class->sla)
		class->breaches++;
}

/* ---- what is told of it */

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
		.in_hand = queue->has_slots ? (weir_nsec)(queue->in_hand_ns + in_hand * (uint64_t)weir_now()) : 0,
		.tasks = queue->tasks,
		.untimed = queue->untimed,
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
	*ret_stats = (struct weir_queue_class_stats){class->got, class->overtook, class->breaches, class->times,
						     class->tasks};
	return 0;
}
