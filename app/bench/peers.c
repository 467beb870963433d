/* SPDX-License-Identifier: MIT */
/*
 * The same patterns by others.  A peer is a program in bench/peers/patterns that is called with the pattern, a URL, the
 * number of jobs, how many at once and how many a second, and prints
 *
 *     with TEXT                                what it fetches with
 *     missing NAME                             instead of everything: what it cannot do without
 *     figures TOOK IDLE PEAK CPU               seconds, resident bytes before and at most, seconds of processor time
 *     job INDEX BEGAN ENDED CAUSE              one for each job; seconds from the start; ok or why it failed
 *
 * and nothing before the run has ended: until then its memory is looked at.
 *
 * One for orders gets the table by ORDERS_TABLE and the server as database.h says.  Its memory is all that of all its
 * processes, so the two figures of it are 0.
 *
 * Times are put into the same histograms as weir's, and jobs are due as weir's are.  Each run meets a mock of its own.
 * What a peer needs and is not there is said, and its rows are missing.
 *
 * To add a peer: its program there, a row below and its file in bench/meson.build.
 */
#include "bench/peers.h"

#include <errno.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <weir/histogram.h>

#include "bench/child.h"
#include "bench/database.h"
#include "bench/mock.h"
#include "bench/redis.h"
#include "bench/suite.h"

enum { FDS_RESERVED = 64, LOOK_MS = 20, LOOK_AT_ALL_MS = 100 };

struct peer {
	const char *name, *file;
	bool go;     /* else Python */
	bool few;    /* queue and semaphore only: a thread for each of many is no use */
	bool orders; /* the patterns of orders, as they were published; the others do those of URLs */
};

static const struct peer peers[] = {
	{.name = "asyncio", .file = "aio.py"},
	{.name = "threads", .file = "threads.py", .few = true},
	{.name = "go", .file = "patterns.go", .go = true},
	{.name = "python", .file = "orders.py", .orders = true},
};

struct peer_run {
	const struct bench_suite *suite;
	const struct bench_database *database;
	struct bench_report *report;
	const struct peer *peer;
	char *program;      /* what is started ... */
	const char *script; /* ... with this, or NULL */
	char folder[64];    /* of what was built; "": none */
	size_t most;        /* connections that descriptors allow */
};

static void tell(const struct bench_suite *suite, const char *name, const char *text)
{
	char line[256];
	snprintf(line, sizeof line, "%s: %s", name, text);
	suite->tell(line);
}

/* ---- where the programs are */

/* In the build folder beside weir, or where `make install` puts them.  malloc'ed; NULL: nowhere. */
static char *find_file(const char *weir, const char *file)
{
	static const char *const folders[] = {"bench", "../share/weir/peers"};
	int folder = (int)(strrchr(weir, '/') - weir);
	for (size_t i = 0; i < sizeof folders / sizeof folders[0]; i++) {
		char *path;
		if (asprintf(&path, "%.*s/%s/%s", folder, weir, folders[i], file) < 0)
			return NULL;
		if (access(path, R_OK) == 0)
			return path;
		free(path);
	}
	return NULL;
}

/* ---- making ready */

static void remove_built(struct peer_run *run)
{
	if (!run->folder[0])
		return;
	bench_child_remove(run->folder);
	run->folder[0] = 0;
}

static const char *build_go(struct peer_run *run, char *source)
{
	char *go = bench_child_find("go"), *program = NULL, *cache = NULL;
	const char *wrong = NULL;
	if (!go)
		return "Go is not installed";
	if (!bench_child_folder(false, run->folder) || asprintf(&program, "%s/go-patterns", run->folder) < 0 ||
	    asprintf(&cache, "%s/cache", run->folder) < 0) {
		wrong = "cannot create a temporary folder";
	} else {
		const char *const sets[] = {"GOCACHE", cache, "GO111MODULE", "off", "GOFLAGS", "", NULL};
		const char *const words[] = {go, "build", "-o", program, source, NULL};
		const struct bench_child child = {.words = words, .sets = sets};
		if (bench_child_wait(bench_child_start(&child, NULL)))
			wrong = "its program could not be built";
	}
	free(go);
	free(cache);
	run->program = program;
	return wrong;
}

static const char *make_ready(struct peer_run *run, char *source)
{
	if (run->peer->go)
		return build_go(run, source);
	/* Debian's own, where its packages are found, before any other. */
	run->program = access("/usr/bin/python3", X_OK) == 0 ? strdup("/usr/bin/python3") : bench_child_find("python3");
	run->script = source;
	return run->program ? NULL : "Python 3 is not installed";
}

/* ---- a run */

static int cause_of(const char *word)
{
	static const struct {
		const char *word;
		enum bench_cause cause;
	} causes[] = {{"server", BENCH_CAUSE_SERVER},   {"client", BENCH_CAUSE_CLIENT},
		      {"timeout", BENCH_CAUSE_TIMEOUT}, {"connect", BENCH_CAUSE_CONNECT},
		      {"reset", BENCH_CAUSE_RESET},     {"database", BENCH_CAUSE_DATABASE}};
	if (!strcmp(word, "ok"))
		return -1;
	for (size_t i = 0; i < sizeof causes / sizeof causes[0]; i++)
		if (!strcmp(word, causes[i].word))
			return (int)causes[i].cause;
	return BENCH_CAUSE_OTHER;
}

struct peer_reading {
	struct bench_result *result;
	struct weir_histogram *service, *response;
	double due_each;
};

static void read_job(struct peer_reading *reading, double index, double began, double ended, const char *word)
{
	struct bench_result *result = reading->result;
	int cause = cause_of(word);
	weir_histogram_record(reading->service, (weir_nsec)((ended - began) * 1e9));
	weir_histogram_record(reading->response, (weir_nsec)((ended - fmin(began, index * reading->due_each)) * 1e9));
	result->jobs++;
	result->attempts++;
	result->succeeded += cause < 0;
	result->failed += cause >= 0;
	if (cause >= 0)
		result->errors[cause]++;
	else
		bench_series_add(&result->ended, (weir_nsec)(ended * 1e9), 1);
}

static void read_line(struct peer_reading *reading, const char *line)
{
	struct bench_result *result = reading->result;
	double index, began, ended, took, idle, peak, cpu;
	char word[16];
	if (!strncmp(line, "with ", 5) || !strncmp(line, "missing ", 8))
		snprintf(result->note, sizeof result->note, "%.*s", (int)strcspn(line, "\n"), line);
	if (sscanf(line, "job %lf %lf %lf %15s", &index, &began, &ended, word) == 4)
		read_job(reading, index, began, ended, word);
	if (sscanf(line, "figures %lf %lf %lf %lf", &took, &idle, &peak, &cpu) == 4) {
		result->took = result->real_took = (weir_nsec)(took * 1e9);
		result->idle_bytes = idle;
		result->peak_bytes = fmax(peak - idle, 0);
		result->cpu_seconds = cpu;
	}
}

static void take_times(const struct weir_histogram *histogram, struct bench_times *ret_times)
{
	uint64_t n = weir_histogram_count(histogram);
	*ret_times = (struct bench_times){.mean = n ? (weir_nsec)(weir_histogram_sum(histogram) / n) : 0,
					  .p50 = weir_histogram_quantile(histogram, 0.5),
					  .p95 = weir_histogram_quantile(histogram, 0.95),
					  .p99 = weir_histogram_quantile(histogram, 0.99),
					  .most = weir_histogram_max(histogram)};
}

static int read_output(int from, double due_each, struct bench_result *result)
{
	struct peer_reading reading = {.result = result, .due_each = due_each};
	FILE *file = fdopen(from, "r");
	char line[256];
	int code = weir_histogram_new(&reading.service);
	if (!code)
		code = weir_histogram_new(&reading.response);
	while (!code && file && fgets(line, sizeof line, file))
		read_line(&reading, line);
	if (!code) {
		take_times(reading.service, &result->service);
		take_times(reading.response, &result->response);
	}
	weir_histogram_free(reading.service);
	weir_histogram_free(reading.response);
	if (file)
		fclose(file);
	else
		close(from);
	return code;
}

/* ---- its memory, from outside */

static double resident_of(pid_t pid)
{
	char path[48];
	unsigned long whole, resident = 0;
	snprintf(path, sizeof path, "/proc/%ld/statm", (long)pid);
	FILE *file = fopen(path, "re");
	if (file && fscanf(file, "%lu %lu", &whole, &resident) != 2)
		resident = 0;
	if (file)
		fclose(file);
	return (double)resident * (double)sysconf(_SC_PAGESIZE);
}

static weir_nsec real_now(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * WEIR_SEC + now.tv_nsec;
}

/* Looks until the first of its output comes, which is when it is done.  How long that took. */
static weir_nsec look_until_output(const struct peer_run *run, pid_t pid, int from, struct bench_series *looks)
{
	weir_nsec start = real_now();
	struct pollfd poller = {.fd = from, .events = POLLIN};
	int every_ms = run->peer->orders ? LOOK_AT_ALL_MS : LOOK_MS;
	looks->step = every_ms * WEIR_MSEC;
	for (;;) {
		int ready = poll(&poller, 1, every_ms);
		if (ready > 0 || (ready < 0 && errno != EINTR))
			return real_now() - start;
		bench_series_most(looks, real_now() - start,
				  run->peer->orders ? bench_child_memory(pid) : resident_of(pid));
	}
}

/* The run is the last of what was looked at; what was before it is the program's own beginning. */
static void take_looks(const struct bench_series *looks, weir_nsec all, struct bench_result *result)
{
	weir_nsec before = all - result->took;
	double sum = 0, n = 0;
	result->memory.step = looks->step;
	for (size_t i = 0; i < looks->used; i++) {
		weir_nsec at = (weir_nsec)i * looks->step - before;
		double above = fmax(looks->value[i] - result->idle_bytes, 0);
		if (at < 0 || looks->value[i] <= 0)
			continue;
		bench_series_most(&result->memory, at, above);
		result->peak_bytes = fmax(result->peak_bytes, above);
		sum += above;
		n++;
	}
	result->mean_bytes = n > 0 ? sum / n : (double)NAN;
}

static int watch(const struct peer_run *run, pid_t pid, int from, double due_each, struct bench_result *result)
{
	static struct bench_series looks; /* large */
	looks = (struct bench_series){0};
	weir_nsec all = look_until_output(run, pid, from, &looks);
	int code = read_output(from, due_each, result);
	take_looks(&looks, all, result);
	return code;
}

static void run_pattern(struct peer_run *run, const struct bench_variant *variant, const struct bench_mock *mock,
			struct bench_result *result)
{
	const struct bench_load *load = &run->suite->load;
	struct bench_bound bound;
	char url[96], jobs[24], concurrency[24], per_sec[24], pattern[16];
	bool once = variant->shape.law == BENCH_LAW_ONCE;
	size_t most = once ? (size_t)load->jobs : variant->shape.concurrency;
	most = most < run->most ? most : run->most;
	snprintf(pattern, sizeof pattern, "%s", variant->name);
	snprintf(url, sizeof url, "%s/orders", mock->url);
	snprintf(jobs, sizeof jobs, "%llu", (unsigned long long)load->jobs);
	snprintf(concurrency, sizeof concurrency, "%zu", most);
	snprintf(per_sec, sizeof per_sec, "%g", variant->shape.per_sec);
	const char *words[8] = {run->program};
	size_t n = 1;
	if (run->script)
		words[n++] = run->script;
	const char *const rest[] = {pattern, url, jobs, concurrency, per_sec};
	memcpy(&words[n], rest, sizeof rest);
	bench_bound(&variant->shape, load, &bound);
	int from = -1;
	const char *const sets[] = {"ORDERS_TABLE", run->database ? run->database->table : "", NULL};
	pid_t pid = bench_child_start(&(struct bench_child){.words = words, .sets = sets}, &from);
	result->ended.step = 10 * WEIR_MSEC;
	result->code = pid < 0 ? -errno : watch(run, pid, from, once ? 0 : 1 / bound.steady, result);
	int status = bench_child_wait(pid);
	if (!result->code && (status || result->jobs != load->jobs))
		result->code = WEIR_EDIED;
	if (result->code < 0 && strncmp(result->note, "missing ", 8) != 0)
		snprintf(result->note, sizeof result->note, "its program failed: %s", weir_strerror(result->code));
}

/* What a run needs, besides its program. */
struct surroundings {
	struct bench_mock mock;
	struct bench_redis redis;
};

static int prepare(const struct peer_run *run, const struct bench_variant *variant, unsigned place,
		   struct surroundings *around, struct weir_error *err)
{
	const struct bench_suite *suite = run->suite;
	int code = run->database ? bench_database_clear(run->database, err) : 0;
	if (!code && variant->kind == BENCH_FLEET)
		code = bench_redis_start(&around->redis, run->database->folder, place, err);
	if (code)
		return code;
	code = bench_mock_start(&around->mock, suite->weir, &suite->load, suite->seed, place);
	return code ? weir_error_set(err, code, "no weir mock: %s", weir_strerror(code)) : 0;
}

/* Nobody has to believe a program about rows. */
static int count_rows(const struct peer_run *run, const struct bench_result *result, struct weir_error *err)
{
	uint64_t rows = result->succeeded;
	int code = run->database ? bench_database_count(run->database, &rows, err) : 0;
	if (!code && rows != result->succeeded)
		code = weir_error_set(err, WEIR_EDATA, "%llu succeeded, but the table has %llu rows",
				      (unsigned long long)result->succeeded, (unsigned long long)rows);
	return code;
}

static void add_row(struct peer_run *run, const struct bench_variant *variant)
{
	struct bench_report *report = run->report;
	struct bench_row *row = &report->rows[report->count];
	struct bench_result *result = &row->result;
	struct surroundings around = {0};
	struct weir_error err = {0};
	char name[64];
	*row = (struct bench_row){.variant = variant, .peer = run->peer->name};
	tell(run->suite, bench_row_name(row, name), "running");
	report->count++;
	result->code = prepare(run, variant, 100 + (unsigned)report->count, &around, &err);
	if (!result->code)
		run_pattern(run, variant, &around.mock, result);
	bench_mock_stop(&around.mock);
	bench_redis_stop(&around.redis);
	if (!result->code)
		result->code = count_rows(run, result, &err);
	if (err.code)
		snprintf(result->note, sizeof result->note, "%.199s", err.text);
	row->run = result->code >= 0;
}

static bool can_do(const struct peer *peer, const struct bench_variant *variant)
{
	bool is_order = variant->kind == BENCH_POSTGRES || variant->kind == BENCH_FLEET;
	if (peer->orders || is_order)
		return peer->orders && is_order && variant->published.seconds > 0;
	if (variant->kind != BENCH_PROCESS || variant->pattern == WEIR_PATTERN_AUTO)
		return false;
	return !peer->few || variant->pattern == WEIR_PATTERN_QUEUE || variant->pattern == WEIR_PATTERN_SEMAPHORE;
}

static bool has_any(const struct peer_run *run, size_t weir_rows)
{
	for (size_t i = 0; i < weir_rows; i++)
		if (can_do(run->peer, run->report->rows[i].variant))
			return true;
	return false;
}

static void run_peer(struct peer_run *run, size_t weir_rows)
{
	if (!has_any(run, weir_rows))
		return;
	char *source = find_file(run->suite->weir, run->peer->file);
	const char *wrong = source ? make_ready(run, source) : "its program is not installed with this weir";
	if (wrong)
		tell(run->suite, run->peer->name, wrong);
	for (size_t i = 0; !wrong && i < weir_rows && run->report->count < BENCH_ROWS_MOST; i++)
		if (can_do(run->peer, run->report->rows[i].variant))
			add_row(run, run->report->rows[i].variant);
	remove_built(run);
	free(run->program);
	free(source);
}

/* Children inherit the limit. */
static size_t raise_descriptors(void)
{
	struct rlimit limit;
	if (getrlimit(RLIMIT_NOFILE, &limit))
		return FDS_RESERVED;
	limit.rlim_cur = limit.rlim_max;
	setrlimit(RLIMIT_NOFILE, &limit);
	return (size_t)(limit.rlim_max > 2 * FDS_RESERVED ? limit.rlim_max - FDS_RESERVED : limit.rlim_max / 2);
}

void bench_peers_run(const struct bench_suite *suite, const struct bench_database *database,
		     struct bench_report *report)
{
	size_t weir_rows = report->count, most = raise_descriptors();
	for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
		struct peer_run run = {
			.suite = suite, .database = database, .report = report, .peer = &peers[i], .most = most};
		run_peer(&run, weir_rows);
	}
}
