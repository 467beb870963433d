/* SPDX-License-Identifier: MIT */
/*
 * A named queue in the registry: the queue itself, and each of its classes.
 *
 * Reporting costs nothing until somebody reads: each row is read from what the queue keeps or counts anyway.  A queue
 * without classes is registered with them, too, having none: so a queue has the same name in both tables, also when
 * there are several of that name.
 */
#include "sync/queue.h"

#include <math.h>

static void collect_queue(const struct weir_metrics_source *source, union weir_metric_value *ret_values)
{
	const struct weir_queue *queue =
		(const struct weir_queue *)((const char *)source - offsetof(struct weir_queue, source));
	struct weir_queue_stats stats;
	weir_queue_stats(queue, &stats);
	ret_values[0].gauge = (double)stats.size;
	ret_values[1].gauge = queue->capacity == SIZE_MAX ? (double)INFINITY : (double)queue->capacity;
	ret_values[2].gauge = (double)stats.reserved;
	ret_values[3].gauge = (double)queue->unsettled;
	ret_values[4].counter = stats.put;
	ret_values[5].counter = stats.got;
	ret_values[6].counter = stats.dropped;
	ret_values[7].histogram = stats.puts.times;
	ret_values[8].histogram = stats.gets.times;
}

static const struct weir_metric_def queue_defs[] = {
	{"weir_queue_depth", "Items in the queue.", WEIR_GAUGE},
	{"weir_queue_capacity", "Items it holds at most.", WEIR_GAUGE},
	{"weir_queue_reserved", "Places reserved for items that are still to be made.", WEIR_GAUGE},
	{"weir_queue_unsettled", "Items in the queue, or got and not settled by task_done.", WEIR_GAUGE},
	{"weir_queue_puts_total", "Items that went in.", WEIR_COUNTER},
	{"weir_queue_gets_total", "Items that were got.", WEIR_COUNTER},
	{"weir_queue_dropped_total", "Items that a close dropped.", WEIR_COUNTER},
	{"weir_queue_put_wait_seconds", "How long fibers waited for a place.", WEIR_HISTOGRAM},
	{"weir_queue_get_wait_seconds", "How long fibers waited for an item.", WEIR_HISTOGRAM},
};
static const struct weir_metrics_kind queue_kind = {queue_defs, sizeof queue_defs / sizeof queue_defs[0],
						    collect_queue};

static const struct weir_queue *queue_of(const struct weir_metrics_source *source)
{
	return (const struct weir_queue *)((const char *)source - offsetof(struct weir_queue, class_source));
}

static unsigned count_classes(const struct weir_metrics_source *source)
{
	return queue_of(source)->n_classes;
}

static void collect_class(const struct weir_metrics_source *source, unsigned part, union weir_metric_value *ret_values)
{
	const struct weir__queue_class *class = &queue_of(source)->classes[part];
	ret_values[0].counter = class->got;
	ret_values[1].counter = class->overtook;
	ret_values[2].counter = class->breaches;
	ret_values[3].histogram = class->times;
	ret_values[4].histogram = class->tasks;
}

static const struct weir_metric_def class_defs[] = {
	{"weir_queue_class_gets_total", "Items of the class that were got.", WEIR_COUNTER},
	{"weir_queue_class_overtakes_total", "Of them, those that left before an older item.", WEIR_COUNTER},
	{"weir_queue_class_breaches_total", "Of them, those that had waited too long.", WEIR_COUNTER},
	{"weir_queue_class_wait_seconds", "How long they were in the queue.", WEIR_HISTOGRAM},
	{"weir_queue_class_task_seconds", "How long they were in hand, from get to task_done.", WEIR_HISTOGRAM},
};
static const struct weir_metrics_kind class_kind = {
	.defs = class_defs,
	.n = sizeof class_defs / sizeof class_defs[0],
	.part_label = "class",
	.count_parts = count_classes,
	.collect_part = collect_class,
};

int weir__queue_report(struct weir_queue *queue, struct weir_metrics *metrics)
{
	if (!queue->name)
		return 0;
	int code = weir_metrics_register(metrics, &queue->source, &queue_kind, queue->name);
	return code ? code : weir_metrics_register(metrics, &queue->class_source, &class_kind, queue->name);
}

void weir__queue_report_no_more(struct weir_queue *queue)
{
	weir_metrics_unregister(&queue->source);
	weir_metrics_unregister(&queue->class_source);
}
