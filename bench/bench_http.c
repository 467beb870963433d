/* SPDX-License-Identifier: MIT */
/*
 * The HTTP client alone, without a pipeline: `bench-http URL [RUNS]`, where URL answers at once (weir mock, nginx).
 *
 * One figure a line, `name value unit`: requests a second with 50 and 500 in flight, then 10,000 at once, each on an
 * address of its own in 127.0.0.0/8 when the URL says 127.0.0.1: ports in TIME_WAIT of the run before cost twice the
 * time.  Medians of RUNS (5).  Memory is the growth of the peak over what the process had before its first client.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>
#include <weir/group.h>

#include "http/client.h"
#include "http/origin.h"

#define MOST_RUNS 25

struct bench {
	struct http_client *client;
	char url[512];
	struct http_origin origin;
	size_t left;
	size_t failed;
	char why[200];
};

static int fetch_many(void *arg)
{
	struct bench *bench = arg;
	while (bench->left > 0) {
		bench->left--;
		struct http_response response;
		const struct http_request request = {.method = "GET", .url = bench->url, .origin = &bench->origin};
		int error = http_client_fetch(bench->client, &request, &response, WEIR_FOREVER);
		if (error < 0)
			return error;
		if (response.failure != HTTP_ANSWERED || response.status != 200) {
			bench->failed++;
			snprintf(bench->why, sizeof bench->why, "%d %s: %s", response.status,
				 http_failure_name(response.failure), response.detail);
		}
		http_response_fini(&response);
	}
	return 0;
}

static double cpu_seconds(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static long peak_kb(void)
{
	struct rusage usage;
	getrusage(RUSAGE_SELF, &usage);
	return usage.ru_maxrss;
}

/* Seconds for n requests with so many in flight; the client is new, so connections are part of it. */
static double run_once(const char *url, size_t n, size_t in_flight, double *ret_cpu)
{
	static unsigned address = 1;
	struct bench bench = {.left = n};
	snprintf(bench.url, sizeof bench.url, "%s", url);
	if (!strncmp(url, "http://127.0.0.1:", 17))
		snprintf(bench.url, sizeof bench.url, "http://127.0.%u.%u:%s", (unsigned)getpid() % 250,
			 ++address % 250 + 1, url + 17);
	const char *wrong = http_origin_parse(bench.url, &bench.origin);
	const struct http_client_options opts = {.in_flight = in_flight};
	if (wrong || http_client_new(&opts, &bench.client) < 0) {
		fprintf(stderr, "bench-http: %s: %s\n", bench.url, wrong ? wrong : "no client");
		exit(1);
	}
	struct weir_group *group;
	weir_group_new(NULL, &group);
	weir_nsec start = weir_clock();
	double cpu = cpu_seconds();
	for (size_t i = 0; i < in_flight; i++)
		weir_group_spawn(group, fetch_many, &bench, WEIR_FOREVER);
	int error = weir_group_wait(group, WEIR_FOREVER);
	double seconds = (double)(weir_clock() - start) / 1e9;
	*ret_cpu = cpu_seconds() - cpu;
	weir_group_free(group);
	http_client_free(bench.client);
	if (error < 0 || bench.failed) {
		fprintf(stderr, "bench-http: %zu of %zu failed: %s\n", bench.failed, n,
			error < 0 ? weir_strerror(error) : bench.why);
		exit(1);
	}
	return seconds;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

struct arguments {
	const char *url;
	int runs;
};

static void measure(const struct arguments *args, const char *name, size_t n, size_t in_flight)
{
	double seconds[MOST_RUNS], cpu[MOST_RUNS];
	for (int i = 0; i < args->runs; i++)
		seconds[i] = run_once(args->url, n, in_flight, &cpu[i]);
	qsort(seconds, (size_t)args->runs, sizeof *seconds, compare);
	qsort(cpu, (size_t)args->runs, sizeof *cpu, compare);
	double median = seconds[args->runs / 2];
	printf("http_%s_per_s %.0f 1/s\n", name, (double)n / median);
	printf("http_%s_cpu_us %.1f us\n", name, cpu[args->runs / 2] * 1e6 / (double)n);
	printf("http_%s_wall_s %.3f s\n", name, median);
	fflush(stdout);
}

static int bench_main(void *arg)
{
	const struct arguments *args = arg;
	long before = peak_kb();
	measure(args, "fetch_50", 100000, 50);
	printf("http_fetch_50_rss %.1f MB\n", (double)(peak_kb() - before) / 1024);
	measure(args, "fetch_500", 100000, 500);
	printf("http_fetch_500_rss %.1f MB\n", (double)(peak_kb() - before) / 1024);
	measure(args, "burst_10k", 10000, 10000);
	printf("http_burst_10k_rss %.1f MB\n", (double)(peak_kb() - before) / 1024);
	return 0;
}

int main(int argc, char **argv)
{
	struct arguments args = {.url = argc > 1 ? argv[1] : NULL, .runs = argc > 2 ? atoi(argv[2]) : 5};
	if (!args.url || args.runs < 1 || args.runs > MOST_RUNS) {
		fprintf(stderr, "usage: bench-http URL [RUNS]\n");
		return 64;
	}
	struct rlimit files;
	getrlimit(RLIMIT_NOFILE, &files);
	files.rlim_cur = files.rlim_max;
	setrlimit(RLIMIT_NOFILE, &files);
	if (http_global_init() < 0)
		return 1;
	int error = weir_run(NULL, bench_main, &args);
	if (error < 0)
		fprintf(stderr, "bench-http: %s\n", weir_strerror(error));
	return error < 0;
}
