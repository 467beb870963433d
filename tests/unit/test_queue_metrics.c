/* SPDX-License-Identifier: MIT */
/* What a queue measures and reports: waits, also of selects, time in hand, and all of it in a registry. */
#include "unit/exposition.h"
#include "unit/queues.h"

#include <stdlib.h>
#include <weir/select.h>

static void assert_lines(struct weir_metrics *metrics, const char *const *lines)
{
	char *text;
	size_t bytes;
	ck_assert_int_eq(weir_metrics_text(metrics, WEIR_METRICS_TEXT, &text, &bytes), 0);
	exposition_check(text, false);
	for (; *lines; lines++)
		ck_assert_msg(exposition_has(text, *lines), "no line %s in\n%s", *lines, text);
	free(text);
}

static void put_at(struct weir_queue *queue, uint64_t item, int64_t rank)
{
	ck_assert_int_eq(weir_queue_put_at(queue, &item, rank, WEIR_TRY), 0);
}

FIBER_TEST(queue_with_a_name_reports_itself)
{
	struct weir_metrics *metrics;
	ck_assert_int_eq(weir_metrics_new(&metrics), 0);
	struct weir_queue *queue =
		new_queue_with((struct weir_queue_options){.capacity = 3, .name = "jobs", .metrics = metrics});
	struct weir_group *group = new_group();
	struct call getter = {.queue = queue}, putter = {.queue = queue, .item = 5};
	line_up(group, get_fiber, &getter);
	weir_sleep(2 * WEIR_SEC);
	for (uint64_t i = 1; i <= 3; i++)
		put(queue, i);
	ck_assert_int_eq(weir_queue_reserve(queue, WEIR_TRY), 0);
	line_up(group, put_fiber, &putter);
	weir_sleep(WEIR_SEC);
	assert_lines(metrics, (const char *const[]){
				      "weir_queue_depth{name=\"jobs\"} 2",
				      "weir_queue_capacity{name=\"jobs\"} 3",
				      "weir_queue_reserved{name=\"jobs\"} 1",
				      "weir_queue_unsettled{name=\"jobs\"} 3",
				      "weir_queue_puts_total{name=\"jobs\"} 3",
				      "weir_queue_gets_total{name=\"jobs\"} 1",
				      "weir_queue_get_wait_seconds_sum{name=\"jobs\"} 2.000000000",
				      "weir_queue_put_wait_seconds_count{name=\"jobs\"} 0",
				      NULL,
			      });
	weir_queue_abort(queue);
	finish(group);
	weir_queue_task_done(queue);
	weir_queue_close(queue, WEIR_QUEUE_DROP);
	assert_lines(metrics, (const char *const[]){
				      "weir_queue_dropped_total{name=\"jobs\"} 3",
				      "weir_queue_unsettled{name=\"jobs\"} 0",
				      "weir_queue_put_wait_seconds_sum{name=\"jobs\"} 1.000000000",
				      NULL,
			      });
	weir_queue_free(queue);
	assert_lines(metrics, (const char *const[]){"# TYPE weir_queue_depth gauge", NULL}); /* of nothing */
	weir_metrics_free(metrics);
}

FIBER_TEST(queue_reports_its_classes_under_its_own_name)
{
	static const weir_nsec sla[] = {WEIR_SEC, 0};
	struct weir_metrics *metrics;
	ck_assert_int_eq(weir_metrics_new(&metrics), 0);
	weir_metrics_use(metrics);
	struct weir_queue *plain = new_queue_with(
		(struct weir_queue_options){.capacity = 1, .name = "jobs", .flags = WEIR_QUEUE_UNBOUNDED});
	struct weir_queue *queue = new_queue_with((struct weir_queue_options){
		.capacity = 4, .order = WEIR_PRIORITY, .classes = 2, .sla = sla, .name = "jobs"});
	put_at(queue, 1, 1);
	put_at(queue, 2, 0);
	weir_sleep(2 * WEIR_SEC);
	ck_assert_uint_eq(get(queue), 2); /* overtakes, and is late */
	weir_sleep(3 * WEIR_SEC);
	weir_queue_task_done(queue);
	assert_lines(metrics, (const char *const[]){
				      "weir_queue_capacity{name=\"jobs\"} +Inf",
				      "weir_queue_depth{name=\"jobs#2\"} 1",
				      "weir_queue_class_gets_total{name=\"jobs#2\",class=\"0\"} 1",
				      "weir_queue_class_overtakes_total{name=\"jobs#2\",class=\"0\"} 1",
				      "weir_queue_class_breaches_total{name=\"jobs#2\",class=\"0\"} 1",
				      "weir_queue_class_breaches_total{name=\"jobs#2\",class=\"1\"} 0",
				      "weir_queue_class_wait_seconds_sum{name=\"jobs#2\",class=\"0\"} 2.000000000",
				      "weir_queue_class_task_seconds_sum{name=\"jobs#2\",class=\"0\"} 3.000000000",
				      NULL,
			      });
	weir_metrics_free(metrics); /* before the queues */
	weir_queue_free(plain);
	weir_queue_free(queue);
}

FIBER_TEST(queue_refuses_a_name_that_cannot_be_reported)
{
	static const struct weir_metric_def taken[] = {{"weir_queue_class_gets_total", "Not a queue's.", WEIR_COUNTER}};
	struct weir_metrics *metrics;
	struct weir_metric *mine;
	struct weir_queue *queue = NULL;
	ck_assert_int_eq(weir_metrics_new(&metrics), 0);
	ck_assert_int_eq(weir_metrics_add(metrics, taken, 1, &mine), 0);
	struct weir_queue_options opts = {.item_bytes = 8, .capacity = 1, .name = "a", .metrics = metrics};
	ck_assert_int_eq(weir_queue_new_with(&opts, &queue), WEIR_EBUSY);
	ck_assert_ptr_null(queue);
	weir_metrics_free(metrics);
}

/* ---- time in hand */

FIBER_TEST(queue_times_items_from_get_to_task_done)
{
	struct weir_queue_stats stats;
	struct weir_queue_class_stats class;
	struct weir_queue *queue =
		new_queue_with((struct weir_queue_options){.capacity = 200, .order = WEIR_PRIORITY, .classes = 2});
	for (uint64_t i = 0; i < 100; i++)
		put_at(queue, i, 0);
	put_at(queue, 100, 1);
	for (int i = 0; i < 100; i++)
		get(queue);
	for (int i = 0; i < 100; i++) { /* 1 to 100 */
		weir_sleep(1);
		weir_queue_task_done(queue);
	}
	get(queue);
	weir_sleep(1000);
	weir_queue_stats(queue, &stats);
	ck_assert_uint_eq(weir_histogram_count(stats.tasks), 100); /* not what is still in hand */
	weir_queue_task_done(queue);
	weir_queue_stats(queue, &stats);
	ck_assert_int_eq(weir_queue_class_stats(queue, 0, &class), 0);
	ck_assert_uint_eq(weir_histogram_sum(class.tasks), 5050);
	ck_assert_int_eq(weir_histogram_quantile(class.tasks, 0.5), 50);
	ck_assert_int_eq(weir_histogram_quantile(class.tasks, 0.99), 99);
	ck_assert_int_eq(weir_queue_class_stats(queue, 1, &class), 0);
	ck_assert_int_eq(weir_histogram_max(class.tasks), 1000);
	ck_assert_int_eq(weir_histogram_max(stats.tasks), 1000);
	ck_assert_uint_eq(weir_histogram_sum(stats.tasks), (uint64_t)stats.in_hand);
	ck_assert_uint_eq(stats.untimed, 0);
	weir_queue_free(queue);
}

FIBER_TEST(queue_settles_items_in_the_order_they_were_got)
{
	struct weir_queue_stats stats;
	struct weir_queue *queue =
		new_queue_with((struct weir_queue_options){.capacity = 2, .flags = WEIR_QUEUE_TIMED});
	put(queue, 1), put(queue, 2);
	get(queue);
	weir_sleep(10);
	get(queue);
	weir_sleep(1);
	weir_queue_task_done(queue); /* whichever it was: the first */
	weir_queue_stats(queue, &stats);
	ck_assert_uint_eq(weir_histogram_sum(stats.tasks), 11);
	weir_queue_task_done(queue);
	weir_queue_stats(queue, &stats);
	ck_assert_uint_eq(weir_histogram_sum(stats.tasks), 12);
	weir_queue_free(queue);
}

FIBER_TEST(queue_knows_the_times_of_a_bounded_number_in_hand)
{
	enum { KNOWN = 1023, BEYOND = 100 };
	struct weir_queue_stats stats;
	struct weir_queue *queue =
		new_queue_with((struct weir_queue_options){.capacity = 1, .flags = WEIR_QUEUE_TIMED});
	for (int round = 0; round < 3; round++) {
		for (uint64_t i = 0; i < KNOWN + BEYOND; i++) {
			put(queue, i);
			get(queue);
			weir_sleep(1);
		}
		for (int i = 0; i < KNOWN / 2; i++)
			weir_queue_task_done(queue);
		put(queue, 0), get(queue); /* there is room again */
		for (int i = KNOWN / 2; i < KNOWN + BEYOND + 1; i++)
			weir_queue_task_done(queue);
		weir_queue_stats(queue, &stats);
		ck_assert_uint_eq(stats.untimed, (uint64_t)(round + 1) * BEYOND);
		ck_assert_uint_eq(weir_histogram_count(stats.tasks), (uint64_t)(round + 1) * (KNOWN + 1));
		ck_assert_int_eq(weir_histogram_max(stats.tasks), KNOWN + BEYOND);
		ck_assert_uint_eq(stats.settled, stats.got);
	}
	weir_queue_free(queue);
}

/* ---- waits */

struct choice {
	struct weir_select_case cases[3];
	weir_nsec deadline;
};

static int select_fiber(void *arg)
{
	struct choice *choice = arg;
	return weir_select(choice->cases, 3, choice->deadline);
}

FIBER_TEST(queue_counts_the_waits_of_selects)
{
	uint64_t in = 7, out = 0;
	struct weir_queue_stats empty_stats, full_stats;
	struct weir_queue *empty = new_queue_with((struct weir_queue_options){.capacity = 1, .name = "empty"});
	struct weir_queue *full = new_queue_with((struct weir_queue_options){.capacity = 1, .flags = WEIR_QUEUE_TIMED});
	struct weir_queue *plain = new_queue(1);
	struct weir_group *group = new_group();
	struct choice choice = {
		.cases = {{.get = empty, .item = &out}, {.put = full, .item = &in}, {.get = plain, .item = &out}},
		.deadline = WEIR_FOREVER,
	};
	put(full, 1);
	spawn(group, select_fiber, &choice);
	weir_sleep(5);
	put(empty, 3);
	ck_assert_int_eq(weir_group_wait(group, WEIR_FOREVER), 0);
	ck_assert_uint_eq(out, 3);
	choice.deadline = weir_now() + 4;
	ck_assert_int_eq(select_fiber(&choice), WEIR_ETIMEDOUT);
	ck_assert_int_eq(select_fiber(&choice), WEIR_ETIMEDOUT); /* did not wait */
	choice.deadline = WEIR_TRY;
	ck_assert_int_eq(select_fiber(&choice), WEIR_EAGAIN);
	weir_queue_stats(empty, &empty_stats);
	weir_queue_stats(full, &full_stats);
	ck_assert_uint_eq(empty_stats.gets.n, 2);
	ck_assert_int_eq(empty_stats.gets.total, 9);
	ck_assert_uint_eq(empty_stats.puts.n, 0);
	ck_assert_uint_eq(full_stats.puts.n, 2);
	ck_assert_int_eq(weir_histogram_max(full_stats.puts.times), 5);
	ck_assert_uint_eq(full_stats.gets.n, 0);
	weir_queue_free(empty);
	weir_queue_free(full);
	weir_queue_free(plain);
	weir_group_free(group);
}

FIBER_TEST(queue_may_be_freed_when_nobody_is_in_line_though_the_woken_have_not_run)
{
	uint64_t out = 0;
	struct weir_queue *queue = new_queue_with((struct weir_queue_options){.capacity = 1, .name = "short-lived"});
	struct weir_queue *other = new_queue(1);
	struct weir_group *group = new_group();
	struct call getter = {.queue = queue};
	struct choice choice = {.cases = {{.get = queue, .item = &out}, {.get = other, .item = &out}},
				.deadline = WEIR_FOREVER};
	line_up(group, get_fiber, &getter);
	spawn(group, select_fiber, &choice);
	settle();
	put(other, 1);
	weir_queue_close(queue, 0);
	weir_queue_free(queue);
	weir_group_wait(group, WEIR_FOREVER);
	ck_assert_int_eq(getter.answer, WEIR_ECLOSED);
	ck_assert_uint_eq(out, 1);
	weir_group_free(group);
	weir_queue_free(other);
}
