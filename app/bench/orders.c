/* SPDX-License-Identifier: MIT */
/*
 * The articles' job as weir does it: `weir run` with a pipeline that fetches orders from a mock, keeps what the table
 * has columns for, and writes it.  Nothing of it is in this process, which only watches:
 *
 *     this process --+-- weir mock
 *                    +-- weir run, or several, each with its share of the orders --+-- weir-jq
 *                    or
 *                    +-- weir submit, and several weir work, all with one pipeline --+-- weir-jq
 *                    +-- redis-server, whose time and memory do not count
 *
 * Time is that from the start of the first to the end of the last, memory the sum of theirs, looked at now and then.
 * What came of the orders is in the summary that each run writes; the table must have as many rows.  The bound of all
 * of that is COPY of the same rows, which a run without latency has put into a file before.
 */
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <weir/process.h>

#include "bench/child.h"
#include "bench/database.h"
#include "bench/mock.h"
#include "bench/redis.h"
#include "bench/run.h"
#include "data/buf.h"
#include "data/json.h"

enum { PROCESSES_MOST = 16, LOOK_MS = 100, SUMMARY_MOST = 1 << 20, EXIT_SOME_DEAD = 3 };

struct orders_process {
	pid_t pid;
	int from; /* what it says; -1: it has ended */
	int status;
	const char *verb; /* run, submit or work */
	char folder[96];
	char said[160]; /* the last of it */
};

struct orders {
	struct bench_run *run;
	struct bench_mock mock;
	struct bench_redis redis; /* of a fleet */
	struct orders_process process[PROCESSES_MOST];
	size_t count;
	weir_nsec start;
	double memory_sum;
	uint64_t looks;
};

static weir_nsec real_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * WEIR_SEC + now.tv_nsec;
}

/* Of children that were waited for, and of theirs. */
static double cpu_of_ended(void)
{
	struct rusage usage;
	getrusage(RUSAGE_CHILDREN, &usage);
	return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
	       (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

/* ---- the pipelines */

static bool is_fleet(const struct bench_run *run)
{
	return run->variant->kind == BENCH_FLEET;
}

static void add_flow(const struct bench_run *run, size_t processes, struct buf *out)
{
	const struct bench_variant *variant = run->variant;
	buf_addf(out, "flow: { pattern: %s, ", weir_pattern_name(variant->pattern));
	if (variant->pattern == WEIR_PATTERN_QUEUE || variant->pattern == WEIR_PATTERN_SEMAPHORE)
		buf_addf(out, "concurrency: %zu, ", variant->shape.concurrency / processes);
	buf_add_str(out, "retry: { attempts: 1 }, breaker: off }\n");
}

static void add_sink(const struct bench_run *run, const char *folder, struct buf *out)
{
	static const char columns[] = "columns: [id, customer, created, total]";
	switch (run->variant->kind) {
	case BENCH_SQLITE:
		buf_addf(out, "sink: { sqlite: { path: '%s/rows.db', table: orders, key: id, %s } }\n", folder,
			 columns);
		break;
	case BENCH_COPY:
		buf_addf(out, "sink: { csv: { path: '%s/rows.csv', %s } }\n", folder, columns);
		break;
	default:
		buf_addf(out, "sink: { postgres: { url: '${env:DATABASE_URL}', table: %s, key: id } }\n",
			 run->plan->database->table);
	}
}

static void add_source(const struct bench_run *run, size_t k, size_t processes, struct buf *out)
{
	uint64_t jobs = run->plan->load.jobs;
	buf_addf(out, "name: orders-%zu\nsource: { range: %" PRIu64 "-%" PRIu64 " }\n", k, jobs * k / processes + 1,
		 jobs * (k + 1) / processes);
	if (is_fleet(run))
		buf_add_str(out, "broker: { redis: { url: '${env:REDIS_URL}' } }\n");
}

/* The k-th of so many that have each a part of the orders and of what may be in flight. */
static int write_pipeline(const struct orders *orders, size_t k, size_t processes, const char *folder)
{
	const struct bench_run *run = orders->run;
	struct buf text = {0};
	char path[128];
	add_source(run, k, processes, &text);
	buf_addf(&text,
		 "steps:\n"
		 "  - http: { url: '%s/orders/${.}', expect: json, timeout: 10s }\n"
		 "  - jq: '{id, customer: .customer.name, created, total}'\n",
		 orders->mock.url);
	add_flow(run, processes, &text);
	add_sink(run, folder, &text);
	snprintf(path, sizeof path, "%s/pipeline.yaml", folder);
	FILE *file = fopen(path, "wxe");
	bool good = file && !text.failed && fwrite(text.data, 1, text.len, file) == text.len;
	good = (!file || fclose(file) == 0) && good;
	buf_fini(&text);
	return good ? 0 : WEIR_EIO;
}

static int start_process(struct orders *orders, const char *verb, size_t k, size_t processes)
{
	const struct bench_plan *plan = orders->run->plan;
	struct orders_process *process = &orders->process[orders->count];
	*process = (struct orders_process){.from = -1, .verb = verb};
	snprintf(process->folder, sizeof process->folder, "%.60s/%u-%zu", plan->database->folder, plan->place,
		 orders->count);
	if (mkdir(process->folder, 0700) < 0 || write_pipeline(orders, k, processes, process->folder) < 0)
		return WEIR_EIO;
	char pipeline[128], state[128], summary[128];
	snprintf(pipeline, sizeof pipeline, "%s/pipeline.yaml", process->folder);
	snprintf(state, sizeof state, "%s/state", process->folder);
	snprintf(summary, sizeof summary, "%s/summary.json", process->folder);
	const char *const words[] = {plan->weir, verb,      pipeline,
				     "--state",  state,     "--summary",
				     summary,    "--quiet", !strcmp(verb, "submit") ? "--detach" : NULL,
				     NULL};
	process->pid = bench_child_start(&(struct bench_child){.words = words, .errors = true}, &process->from);
	if (process->pid < 0)
		return WEIR_EIO;
	orders->count++;
	return 0;
}

/* All of a fleet have the same pipeline. */
static int start_processes(struct orders *orders)
{
	uint64_t jobs = orders->run->plan->load.jobs;
	size_t processes = orders->run->variant->processes ? orders->run->variant->processes : 1;
	bool fleet = is_fleet(orders->run);
	int code = fleet ? start_process(orders, "submit", 0, 1) : 0;
	processes = processes < jobs ? processes : (size_t)jobs;
	for (size_t k = 0; !code && k < processes; k++)
		code = fleet ? start_process(orders, "work", 0, 1) : start_process(orders, "run", k, processes);
	return code;
}

/* ---- watching them */

static void look(struct orders *orders)
{
	struct bench_result *result = orders->run->result;
	double bytes = 0;
	for (size_t k = 0; k < orders->count; k++)
		if (orders->process[k].from >= 0)
			bytes += bench_child_memory(orders->process[k].pid);
	if (bytes <= 0)
		return;
	bench_series_most(&result->memory, real_now() - orders->start, bytes);
	result->peak_bytes = fmax(result->peak_bytes, bytes);
	orders->memory_sum += bytes;
	orders->looks++;
}

/* What a process says is kept, the last of it; at the end of it, it has ended. */
static void listen_to(struct orders_process *process)
{
	char text[sizeof process->said];
	ssize_t n = read(process->from, text, sizeof text - 1);
	if (n < 0 && errno == EINTR)
		return;
	if (n > 0) {
		while (n > 0 && text[n - 1] == '\n')
			n--;
		snprintf(process->said, sizeof process->said, "%.*s", (int)n, text);
		return;
	}
	close(process->from);
	process->from = -1;
	process->status = bench_child_wait(process->pid);
}

static size_t listen_to_all(struct orders *orders, int timeout_ms)
{
	struct pollfd pollers[PROCESSES_MOST];
	size_t running = 0;
	for (size_t k = 0; k < orders->count; k++)
		pollers[k] = (struct pollfd){.fd = orders->process[k].from, .events = POLLIN};
	poll(pollers, orders->count, timeout_ms);
	for (size_t k = 0; k < orders->count; k++) {
		if (orders->process[k].from >= 0 && pollers[k].revents)
			listen_to(&orders->process[k]);
		running += orders->process[k].from >= 0;
	}
	return running;
}

static void watch(struct orders *orders)
{
	weir_nsec next = orders->start;
	size_t running = orders->count;
	while (running) {
		weir_nsec now = real_now();
		if (now >= next) {
			look(orders);
			next = now + LOOK_MS * WEIR_MSEC;
		}
		running = listen_to_all(orders, LOOK_MS);
	}
}

/* ---- what came of it */

static enum bench_cause cause_of(const char *text)
{
	static const struct {
		const char *word;
		enum bench_cause cause;
	} causes[] = {{"(http): status: 429", BENCH_CAUSE_THROTTLED},
		      {"(http): status: 5", BENCH_CAUSE_SERVER},
		      {"(http): status", BENCH_CAUSE_CLIENT},
		      {"(http): timeout", BENCH_CAUSE_TIMEOUT},
		      {"(http): connect", BENCH_CAUSE_CONNECT},
		      {"(http): reset", BENCH_CAUSE_RESET},
		      {"sink", BENCH_CAUSE_DATABASE}};
	for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++)
		if (strstr(text, causes[i].word))
			return causes[i].cause;
	return BENCH_CAUSE_OTHER;
}

/* has_accounts: else they are in another summary, too. */
static void add_summary(const struct json *json, bool has_accounts, struct bench_result *result)
{
	uint64_t succeeded = (uint64_t)json_member_int(json, "succeeded");
	uint64_t failed = (uint64_t)(json_member_int(json, "dead") + json_member_int(json, "unfinished"));
	const struct json *failures = json_member(json, "failures"), *failure;
	if (has_accounts) {
		result->succeeded += succeeded;
		result->failed += failed;
		result->jobs += succeeded + failed;
	}
	result->attempts += (uint64_t)json_member_int(json, "attempts");
	for (size_t at = 0; failures && (failure = json_next(failures, &at, NULL));)
		result->errors[cause_of(json_member_text(failure, "example"))] +=
			(uint64_t)json_member_int(failure, "letters");
}

static int read_summary(const struct orders_process *process, bool has_accounts, struct bench_result *result)
{
	struct buf text = {0};
	struct json *json = NULL;
	char path[128];
	snprintf(path, sizeof path, "%s/summary.json", process->folder);
	int code = buf_read_file(&text, path, 0, SUMMARY_MOST);
	if (!code)
		code = json_parse(text.data, text.len, &json, NULL);
	if (!code)
		add_summary(json, has_accounts, result);
	json_free(json);
	buf_fini(&text);
	return code;
}

/* Every worker of a fleet knows the accounts of the whole run; attempts and failures are only its own. */
static int read_process(const struct orders *orders, size_t k)
{
	const struct orders_process *process = &orders->process[k];
	struct bench_result *result = orders->run->result;
	bool ended = WIFEXITED(process->status) &&
		     (WEXITSTATUS(process->status) == 0 || WEXITSTATUS(process->status) == EXIT_SOME_DEAD);
	bool is_last = k + 1 == orders->count;
	int code = ended ? 0 : WEIR_EDIED;
	if (!code && strcmp(process->verb, "submit") != 0)
		code = read_summary(process, !is_fleet(orders->run) || is_last, result);
	if (code < 0)
		snprintf(result->note, sizeof result->note, "weir %s failed: %s", process->verb,
			 process->said[0] ? process->said : weir_strerror(code));
	return code;
}

/* ---- the kinds */

static int run_pipelines(struct orders *orders)
{
	struct bench_result *result = orders->run->result;
	double cpu = cpu_of_ended();
	orders->start = real_now();
	int code = start_processes(orders);
	watch(orders);
	result->took = result->real_took = real_now() - orders->start;
	result->cpu_seconds = cpu_of_ended() - cpu;
	result->mean_bytes = orders->looks ? orders->memory_sum / (double)orders->looks : (double)NAN;
	for (size_t k = 0; !code && k < orders->count; k++)
		code = read_process(orders, k);
	return code;
}

/* Of the run that has made the file nothing counts but its rows. */
static int run_copy(struct orders *orders, struct weir_error *err)
{
	struct bench_result *result = orders->run->result;
	char file[128];
	int code = run_pipelines(orders);
	if (code < 0)
		return code;
	snprintf(file, sizeof file, "%s/rows.csv", orders->process[0].folder);
	double cpu = cpu_of_ended();
	code = bench_database_copy(orders->run->plan->database, file, &result->took, err);
	result->real_took = result->took;
	result->cpu_seconds = cpu_of_ended() - cpu;
	result->attempts = 0;
	result->peak_bytes = result->mean_bytes = (double)NAN;
	result->memory = (struct bench_series){0};
	return code;
}

static int check_rows(const struct orders *orders, struct weir_error *err)
{
	const struct bench_result *result = orders->run->result;
	uint64_t rows;
	if (orders->run->variant->kind == BENCH_SQLITE)
		return 0;
	int code = bench_database_count(orders->run->plan->database, &rows, err);
	if (!code && rows != result->succeeded)
		code = weir_error_set(err, WEIR_EDATA, "%" PRIu64 " succeeded, but the table has %" PRIu64 " rows",
				      result->succeeded, rows);
	return code;
}

int bench_run_orders(struct bench_run *run)
{
	const struct bench_plan *plan = run->plan;
	struct orders orders = {.run = run};
	struct bench_load load = plan->load;
	struct weir_error err = {0};
	if (run->variant->kind == BENCH_COPY)
		load.low = load.high = 0;
	run->result->memory.step = LOOK_MS * WEIR_MSEC;
	int code = bench_database_clear(plan->database, &err);
	if (!code && is_fleet(run))
		code = bench_redis_start(&orders.redis, plan->database->folder, plan->place, &err);
	if (!code)
		code = bench_mock_start(&orders.mock, plan->weir, &load, plan->seed, plan->place);
	if (!code)
		code = run->variant->kind == BENCH_COPY ? run_copy(&orders, &err) : run_pipelines(&orders);
	bench_mock_stop(&orders.mock);
	bench_redis_stop(&orders.redis);
	if (!code)
		code = check_rows(&orders, &err);
	if (code < 0 && err.code)
		snprintf(run->result->note, sizeof run->result->note, "%.199s", err.text);
	return code;
}
