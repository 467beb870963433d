/* SPDX-License-Identifier: MIT */
/*
 * The tables.  To add a row: one here; its bound and its verdict follow from its shape.
 */
#include "bench/scenario.h"

#include <string.h>

#define LIMIT(n)                                                                                                       \
	{                                                                                                              \
		.law = BENCH_LAW_LIMIT, .concurrency = (n)                                                             \
	}
#define BATCHES(n)                                                                                                     \
	{                                                                                                              \
		.law = BENCH_LAW_BATCHES, .concurrency = (n)                                                           \
	}

enum { AUTO_MOST = 10000 }; /* as struct weir_policy_options has it */

static const struct bench_variant patterns[] = {
	{.name = "queue",
	 .text = "50 workers take from a queue",
	 .pattern = WEIR_PATTERN_QUEUE,
	 .shape = LIMIT(50),
	 .published = {8247, 0, 47 * WEIR_MSEC, 184e6, 0.34, "excellent"}},
	{.name = "semaphore",
	 .text = "a task for each job, 100 at a time inside a semaphore",
	 .pattern = WEIR_PATTERN_SEMAPHORE,
	 .shape = LIMIT(100),
	 .published = {7891, 0, 52 * WEIR_MSEC, 211e6, 0.38, "good"}},
	{.name = "rate",
	 .text = "at most 100 starts a second, 200 in flight (the articles': aiometer)",
	 .pattern = WEIR_PATTERN_RATE,
	 .shape = {.law = BENCH_LAW_RATE, .concurrency = 200, .per_sec = 100},
	 .published = {7654, 0, 58 * WEIR_MSEC, 198e6, 0.41, "excellent"}},
	{.name = "chunked",
	 .text = "100 at a time, wait for all 100",
	 .pattern = WEIR_PATTERN_CHUNKED,
	 .shape = BATCHES(100),
	 .published = {5432, 0, 89 * WEIR_MSEC, 167e6, 0.29, "fair"}},
	{.name = "naive",
	 .text = "everything concurrently",
	 .pattern = WEIR_PATTERN_NAIVE,
	 .shape = {.law = BENCH_LAW_ONCE},
	 .published = {1203, 0, 2341 * WEIR_MSEC, 1847e6, 0.67, "poor"}},
	{.name = "auto",
	 .text = "weir finds the limits; at most 10,000 in flight",
	 .pattern = WEIR_PATTERN_AUTO,
	 .shape = LIMIT(AUTO_MOST)},
};

const struct bench_scenario bench_patterns = {
	.name = "patterns",
	.title = "10,000 URLs, 10 ms to 3 s each, 5 % errors",
	.load = {.jobs = 10000, .low = 10 * WEIR_MSEC, .high = 3 * WEIR_SEC, .errors = 0.05},
	.variants = patterns,
	.count = sizeof patterns / sizeof patterns[0],
};

static const struct bench_variant quick[] = {
	{.name = "queue",
	 .text = "50 workers take from a queue",
	 .pattern = WEIR_PATTERN_QUEUE,
	 .shape = LIMIT(50),
	 .published = {.per_sec = 8247}},
	{.name = "semaphore",
	 .text = "a task for each job, 50 at a time inside a semaphore",
	 .pattern = WEIR_PATTERN_SEMAPHORE,
	 .shape = LIMIT(50),
	 .published = {.per_sec = 7891}},
	{.name = "rate",
	 .text = "at most 100 starts a second, 50 in flight",
	 .pattern = WEIR_PATTERN_RATE,
	 .shape = {.law = BENCH_LAW_RATE, .concurrency = 50, .per_sec = 100}},
	{.name = "chunked",
	 .text = "50 at a time, wait for all 50",
	 .pattern = WEIR_PATTERN_CHUNKED,
	 .shape = BATCHES(50)},
	{.name = "naive",
	 .text = "everything concurrently",
	 .pattern = WEIR_PATTERN_NAIVE,
	 .shape = {.law = BENCH_LAW_ONCE},
	 .published = {.per_sec = 1203}},
	{.name = "auto",
	 .text = "weir finds the limits; at most 10,000 in flight",
	 .pattern = WEIR_PATTERN_AUTO,
	 .shape = LIMIT(AUTO_MOST)},
};

const struct bench_scenario bench_quick = {
	.name = "quick",
	.title = "1,000 URLs, 10 ms to 300 ms each, 5 % errors",
	.load = {.jobs = 1000, .low = 10 * WEIR_MSEC, .high = 300 * WEIR_MSEC, .errors = 0.05},
	.variants = quick,
	.count = sizeof quick / sizeof quick[0],
};

#define WAVES_TEXT    "batches of 500"
#define IN_TASK_TEXT  "semaphore inside the task, all tasks made first"
#define CALLBACK_TEXT "permit before the task, released by a callback"
#define AT_END_TEXT   "permit before the task, released at its end"

static const struct bench_variant backpressure[] = {
	{.name = "batches",
	 .text = WAVES_TEXT,
	 .kind = BENCH_WAVES,
	 .shape = BATCHES(500),
	 .published = {.seconds = 41.7, .memory_bytes = 821692}},
	{.name = "in-task",
	 .text = IN_TASK_TEXT,
	 .kind = BENCH_IN_TASK,
	 .shape = LIMIT(500),
	 .published = {.seconds = 30.9, .memory_bytes = 152154848}},
	{.name = "callback",
	 .text = CALLBACK_TEXT,
	 .kind = BENCH_CALLBACK,
	 .shape = LIMIT(500),
	 .published = {.seconds = 30.2, .memory_bytes = 1018796}},
	{.name = "at-end",
	 .text = AT_END_TEXT,
	 .kind = BENCH_AT_END,
	 .shape = LIMIT(500),
	 .published = {.seconds = 30.2, .memory_bytes = 839176}},
};

const struct bench_scenario bench_backpressure = {
	.name = "backpressure",
	.title = "100,000 jobs, 500 in flight, 100 ms to 200 ms each",
	.load = {.jobs = 100000, .low = 100 * WEIR_MSEC, .high = 200 * WEIR_MSEC},
	.variants = backpressure,
	.count = sizeof backpressure / sizeof backpressure[0],
	.form = BENCH_FORM_HEAP,
};

static const struct bench_variant narrow[] = {
	{.name = "batches",
	 .text = WAVES_TEXT,
	 .kind = BENCH_WAVES,
	 .shape = BATCHES(500),
	 .published = {.seconds = 24.65}},
	{.name = "in-task",
	 .text = IN_TASK_TEXT,
	 .kind = BENCH_IN_TASK,
	 .shape = LIMIT(500),
	 .published = {.seconds = 22.0}},
	{.name = "callback",
	 .text = CALLBACK_TEXT,
	 .kind = BENCH_CALLBACK,
	 .shape = LIMIT(500),
	 .published = {.seconds = 21.1}},
	{.name = "at-end",
	 .text = AT_END_TEXT,
	 .kind = BENCH_AT_END,
	 .shape = LIMIT(500),
	 .published = {.seconds = 21.1}},
};

const struct bench_scenario bench_backpressure_narrow = {
	.name = "backpressure",
	.title = "100,000 jobs, 500 in flight, 100 ms to 110 ms each",
	.load = {.jobs = 100000, .low = 100 * WEIR_MSEC, .high = 110 * WEIR_MSEC},
	.variants = narrow,
	.count = sizeof narrow / sizeof narrow[0],
	.form = BENCH_FORM_HEAP,
};

static const struct bench_variant orders[] = {
	{.name = "gather",
	 .text = "everything concurrently",
	 .kind = BENCH_POSTGRES,
	 .pattern = WEIR_PATTERN_NAIVE,
	 .shape = {.law = BENCH_LAW_ONCE},
	 .published = {.seconds = 34.2, .memory_bytes = 1.2e9, .failed = 0.002}},
	{.name = "semaphore",
	 .text = "a task for each order, 100 at a time inside a semaphore",
	 .kind = BENCH_POSTGRES,
	 .pattern = WEIR_PATTERN_SEMAPHORE,
	 .shape = LIMIT(100),
	 .published = {.seconds = 52.8, .memory_bytes = 480e6}},
	{.name = "processes",
	 .text = "8 processes, each with one order at a time",
	 .kind = BENCH_POSTGRES,
	 .pattern = WEIR_PATTERN_QUEUE,
	 .shape = LIMIT(8),
	 .processes = 8,
	 .published = {.seconds = 48.5, .memory_bytes = 2.8e9, .failed = 0.035}},
	{.name = "threads",
	 .text = "100 threads take from a queue; of weir, 100 in flight",
	 .kind = BENCH_POSTGRES,
	 .pattern = WEIR_PATTERN_QUEUE,
	 .shape = LIMIT(100),
	 .published = {.seconds = 44.1, .memory_bytes = 680e6, .failed = 0.012}},
	{.name = "streams",
	 .text = "4 processes, each with 5 orders at a time, take from a queue in Redis",
	 .kind = BENCH_FLEET,
	 .pattern = WEIR_PATTERN_QUEUE,
	 .shape = LIMIT(20),
	 .processes = 4,
	 .published = {.seconds = 28.4, .memory_bytes = 520e6, .failed = 0.0002}},
	{.name = "queue",
	 .text = "500 in flight",
	 .kind = BENCH_POSTGRES,
	 .pattern = WEIR_PATTERN_QUEUE,
	 .shape = LIMIT(500)},
	{.name = "auto",
	 .text = "weir finds the limits; at most 10,000 in flight",
	 .kind = BENCH_POSTGRES,
	 .pattern = WEIR_PATTERN_AUTO,
	 .shape = LIMIT(AUTO_MOST)},
	{.name = "fleet",
	 .text = "as auto, by 4 processes that take from a queue in Redis",
	 .kind = BENCH_FLEET,
	 .pattern = WEIR_PATTERN_AUTO,
	 .shape = LIMIT(AUTO_MOST),
	 .processes = 4},
	{.name = "sqlite",
	 .text = "as queue, into SQLite",
	 .kind = BENCH_SQLITE,
	 .pattern = WEIR_PATTERN_QUEUE,
	 .shape = LIMIT(500)},
	{.name = "copy", .text = "COPY of the same rows, without a call", .kind = BENCH_COPY},
};

const struct bench_scenario bench_orders = {
	.name = "orders",
	.title = "10,000 orders, 200 ms each: fetch, transform, into PostgreSQL",
	.load = {.jobs = 10000, .low = 200 * WEIR_MSEC, .high = 200 * WEIR_MSEC},
	.variants = orders,
	.count = sizeof orders / sizeof orders[0],
	.form = BENCH_FORM_ORDERS,
};

const struct bench_variant *bench_find_variant(const struct bench_scenario *scenario, const char *name)
{
	if (!strcmp(name, "aiometer"))
		name = "rate";
	for (size_t i = 0; i < scenario->count; i++)
		if (!strcmp(scenario->variants[i].name, name))
			return &scenario->variants[i];
	return NULL;
}

double bench_published_per_sec(const struct bench_scenario *scenario, const struct bench_variant *variant)
{
	const struct bench_published *published = &variant->published;
	return published->seconds > 0 ? (double)scenario->load.jobs / published->seconds : published->per_sec;
}

void bench_judge_variant(const struct bench_scenario *scenario, const struct bench_variant *variant,
			 struct bench_judgement *ret_judgement)
{
	bench_judge(&variant->shape, &scenario->load, bench_published_per_sec(scenario, variant),
		    variant->published.p95, ret_judgement);
}
