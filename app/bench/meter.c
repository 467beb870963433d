/* SPDX-License-Identifier: MIT */
/*
 * When a job was due: evenly, at the rate that the bound allows, the first at the start.  A job that begins later than
 * it was due has waited for the pattern, and the wait is part of its response time; only so does a stall show in the
 * percentiles (G. Tene calls the other way "coordinated omission").
 */
#include "bench/meter.h"

#include <fcntl.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <weir/group.h>

enum { FIRST_STEP_MS = 10 };

/* ---- the process */

static double cpu_seconds(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static weir_nsec real_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * WEIR_SEC + now.tv_nsec;
}

static size_t read_file(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, text, room - 1);
	if (fd >= 0)
		close(fd);
	text[n > 0 ? n : 0] = 0;
	return n > 0 ? (size_t)n : 0;
}

static double resident_bytes(void)
{
	char text[128];
	unsigned long whole, resident = 0;
	read_file("/proc/self/statm", text, sizeof text);
	return sscanf(text, "%lu %lu", &whole, &resident) == 2 ? (double)resident * (double)sysconf(_SC_PAGESIZE) : 0;
}

/* Has the kernel forget the peak that it knows; false where that may not be asked. */
static bool forget_peak(void)
{
	int fd = open("/proc/self/clear_refs", O_WRONLY | O_CLOEXEC);
	bool done = fd >= 0 && write(fd, "5", 1) == 1;
	if (fd >= 0)
		close(fd);
	return done;
}

static double peak_bytes(void)
{
	static char text[4096];
	read_file("/proc/self/status", text, sizeof text);
	const char *line = strstr(text, "VmHWM:");
	unsigned long kib = 0;
	return line && sscanf(line, "VmHWM: %lu", &kib) == 1 ? (double)kib * 1024 : 0;
}

/* ---- looking */

weir_nsec bench_meter_now(const struct bench_meter *meter)
{
	return weir_clock() - meter->start;
}

static void look(struct bench_meter *meter)
{
	double above = fmax(resident_bytes() - meter->result->idle_bytes, 0);
	meter->memory_sum += above;
	meter->looks++;
	meter->result->peak_bytes = fmax(meter->result->peak_bytes, above);
	bench_series_most(&meter->result->memory, bench_meter_now(meter), above);
}

static int look_often(void *arg)
{
	struct bench_meter *meter = arg;
	while (weir_sleep(meter->every) == 0)
		look(meter);
	return 0;
}

static void free_parts(struct bench_meter *meter)
{
	weir_group_free(meter->group);
	weir_histogram_free(meter->service);
	weir_histogram_free(meter->response);
}

int bench_meter_start(struct bench_meter *meter, double per_sec, weir_nsec every, struct bench_result *result)
{
	static const struct weir_spawn_options looker = {.name = "meter"};
	*meter = (struct bench_meter){.result = result, .every = every};
	meter->due_each = per_sec > 0 && isfinite(per_sec) ? 1e9 / per_sec : 0;
	int code = weir_histogram_new(&meter->service);
	if (!code)
		code = weir_histogram_new(&meter->response);
	if (!code)
		code = weir_group_new(NULL, &meter->group);
	if (!code)
		code = weir_group_spawn_with(meter->group, &looker, look_often, meter, WEIR_FOREVER);
	if (code < 0) {
		free_parts(meter);
		return code;
	}
	weir_yield(); /* its stack belongs to what is idle */
	/* All pages of what is counted in here, too. */
	result->memory.step = result->ended.step = FIRST_STEP_MS * WEIR_MSEC;
	memset(result->memory.value, 0, sizeof result->memory.value);
	memset(result->ended.value, 0, sizeof result->ended.value);
	meter->peak_known = forget_peak();
	result->idle_bytes = resident_bytes();
	meter->cpu_start = cpu_seconds();
	meter->real_start = real_now();
	meter->start = weir_clock();
	return 0;
}

static void read_times(const struct weir_histogram *histogram, struct bench_times *ret_times)
{
	uint64_t count = weir_histogram_count(histogram);
	*ret_times = (struct bench_times){
		.mean = count ? (weir_nsec)(weir_histogram_sum(histogram) / count) : 0,
		.p50 = weir_histogram_quantile(histogram, 0.5),
		.p95 = weir_histogram_quantile(histogram, 0.95),
		.p99 = weir_histogram_quantile(histogram, 0.99),
		.most = weir_histogram_max(histogram),
	};
}

void bench_meter_stop(struct bench_meter *meter)
{
	struct bench_result *result = meter->result;
	result->took = bench_meter_now(meter);
	result->real_took = real_now() - meter->real_start;
	result->cpu_seconds = cpu_seconds() - meter->cpu_start;
	look(meter);
	if (meter->peak_known)
		result->peak_bytes = fmax(result->peak_bytes, peak_bytes() - result->idle_bytes);
	result->mean_bytes = meter->memory_sum / (double)meter->looks;
	read_times(meter->service, &result->service);
	read_times(meter->response, &result->response);
	weir_group_cancel(meter->group);
	weir_group_wait(meter->group, WEIR_FOREVER);
	free_parts(meter);
}

/* ---- counting */

void bench_meter_begin(struct bench_meter *meter)
{
	meter->in_attempt++;
	if (meter->in_attempt > meter->result->in_flight)
		meter->result->in_flight = meter->in_attempt;
}

void bench_meter_end(struct bench_meter *meter, weir_nsec took, int code, enum bench_cause cause)
{
	meter->in_attempt--;
	meter->result->attempts++;
	weir_histogram_record(meter->service, took);
	if (code < 0)
		meter->result->errors[cause]++;
}

void bench_meter_job(struct bench_meter *meter, uint64_t index, weir_nsec began, weir_nsec due, bool well)
{
	weir_nsec now = bench_meter_now(meter);
	if (due < 0)
		due = (weir_nsec)(meter->due_each * (double)index);
	weir_histogram_record(meter->response, now - (due < began ? due : began));
	meter->result->jobs++;
	if (!well) {
		meter->result->failed++;
		return;
	}
	meter->result->succeeded++;
	bench_series_add(&meter->result->ended, now, 1);
}
