/* SPDX-License-Identifier: MIT */
/*
 * The same patterns by others.  A peer is a program in bench/peers/patterns that is called with the pattern, a URL, the
 * number of jobs, how many at once and how many a second, and prints
 *
 *     with TEXT                                what it fetches with
 *     figures TOOK IDLE PEAK CPU               seconds, resident bytes before and at most, seconds of processor time
 *     job INDEX BEGAN ENDED CAUSE              one for each job; seconds from the start; ok or why it failed
 *
 * and nothing before the run has ended: until then its memory is looked at.
 *
 * Times are put into the same histograms as weir's, and jobs are due as weir's are.  Each run meets a mock of its own.
 * What a peer needs and is not there is said, and its rows are missing.
 *
 * To add a peer: its program there, a row below and its file in bench/meson.build.
 */
#include "bench/peers.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <weir/histogram.h>

#include "bench/mock.h"
#include "bench/suite.h"

enum { FDS_RESERVED = 64, LOOK_MS = 20 };

struct peer {
	const char *name, *file;
	bool go;  /* else Python */
	bool few; /* queue and semaphore only: a thread for each of many is no use */
};

static const struct peer peers[] = {
	{.name = "asyncio", .file = "aio.py"},
	{.name = "threads", .file = "threads.py", .few = true},
	{.name = "go", .file = "patterns.go", .go = true},
};

struct peer_run {
	const struct bench_suite *suite;
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

/* A program in the PATH.  malloc'ed; NULL: there is none. */
static char *find_program(const char *name)
{
	const char *where = getenv("PATH");
	char *folders = strdup(where ? where : "/usr/bin:/bin"), *rest = folders, *folder, *path;
	while (folders && (folder = strsep(&rest, ":"))) {
		if (asprintf(&path, "%s/%s", folder[0] ? folder : ".", name) < 0)
			break;
		if (access(path, X_OK) == 0) {
			free(folders);
			return path;
		}
		free(path);
	}
	free(folders);
	return NULL;
}

/* ---- children */

/* With its standard output in *ret_from, which may be NULL: then nowhere. */
static pid_t start_child(char *const *words, const char *const *sets, int *ret_from)
{
	int ends[2] = {-1, -1};
	if (ret_from && pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int out = ret_from ? ends[1] : open("/dev/null", O_WRONLY | O_CLOEXEC);
		int none = open("/dev/null", O_RDWR | O_CLOEXEC);
		dup2(none, STDIN_FILENO);
		dup2(out, STDOUT_FILENO);
		dup2(none, STDERR_FILENO);
		for (; sets && *sets; sets += 2)
			setenv(sets[0], sets[1], 1);
		execv(words[0], words);
		_exit(127);
	}
	if (ret_from) {
		close(ends[1]);
		*ret_from = ends[0];
	}
	return pid;
}

static int wait_for(pid_t pid)
{
	int status = -1;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

/* ---- making ready */

static void remove_built(struct peer_run *run)
{
	if (!run->folder[0])
		return;
	char *const words[] = {(char[]){"/bin/rm"}, (char[]){"-rf"}, run->folder, NULL};
	wait_for(start_child(words, NULL, NULL));
	run->folder[0] = 0;
}

static const char *build_go(struct peer_run *run, char *source)
{
	char *go = find_program("go"), *program = NULL, *cache = NULL;
	const char *wrong = NULL, *tmp = getenv("TMPDIR");
	if (!go)
		return "Go is not installed";
	snprintf(run->folder, sizeof run->folder, "%.40s/weir-bench-XXXXXX", tmp && strlen(tmp) <= 40 ? tmp : "/tmp");
	if (!mkdtemp(run->folder) || asprintf(&program, "%s/go-patterns", run->folder) < 0 ||
	    asprintf(&cache, "%s/cache", run->folder) < 0) {
		wrong = "cannot create a temporary folder";
	} else {
		const char *const sets[] = {"GOCACHE", cache, "GO111MODULE", "off", "GOFLAGS", "", NULL};
		char *const words[] = {go, (char[]){"build"}, (char[]){"-o"}, program, source, NULL};
		if (wait_for(start_child(words, sets, NULL)))
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
	run->program = access("/usr/bin/python3", X_OK) == 0 ? strdup("/usr/bin/python3") : find_program("python3");
	run->script = source;
	return run->program ? NULL : "Python 3 is not installed";
}

/* ---- a run */

static int cause_of(const char *word)
{
	static const struct {
		const char *word;
		enum bench_cause cause;
	} causes[] = {{"server", BENCH_CAUSE_SERVER},
		      {"client", BENCH_CAUSE_CLIENT},
		      {"timeout", BENCH_CAUSE_TIMEOUT},
		      {"connect", BENCH_CAUSE_CONNECT},
		      {"reset", BENCH_CAUSE_RESET}};
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
	if (!strncmp(line, "with ", 5))
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
static weir_nsec look_until_output(pid_t pid, int from, struct bench_series *looks)
{
	weir_nsec start = real_now();
	struct pollfd poller = {.fd = from, .events = POLLIN};
	looks->step = LOOK_MS * WEIR_MSEC;
	for (;;) {
		int ready = poll(&poller, 1, LOOK_MS);
		if (ready > 0 || (ready < 0 && errno != EINTR))
			return real_now() - start;
		bench_series_most(looks, real_now() - start, resident_of(pid));
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
		sum += above;
		n++;
	}
	result->mean_bytes = n > 0 ? sum / n : (double)NAN;
}

static int watch(pid_t pid, int from, double due_each, struct bench_result *result)
{
	static struct bench_series looks; /* large */
	looks = (struct bench_series){0};
	weir_nsec all = look_until_output(pid, from, &looks);
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
	char *words[8] = {run->program};
	size_t n = 1;
	if (run->script)
		words[n++] = (char *)(uintptr_t)run->script;
	char *const rest[] = {pattern, url, jobs, concurrency, per_sec};
	memcpy(&words[n], rest, sizeof rest);
	bench_bound(&variant->shape, load, &bound);
	int from = -1;
	pid_t pid = start_child(words, NULL, &from);
	result->ended.step = 10 * WEIR_MSEC;
	result->code = pid < 0 ? -errno : watch(pid, from, once ? 0 : 1 / bound.steady, result);
	int status = wait_for(pid);
	if (!result->code && (status || result->jobs != load->jobs))
		result->code = WEIR_EDIED;
	if (result->code < 0)
		snprintf(result->note, sizeof result->note, "its program failed: %s", weir_strerror(result->code));
}

static void add_row(struct peer_run *run, const struct bench_variant *variant)
{
	struct bench_report *report = run->report;
	struct bench_row *row = &report->rows[report->count];
	struct bench_mock mock;
	char name[64];
	*row = (struct bench_row){.variant = variant, .peer = run->peer->name};
	tell(run->suite, bench_row_name(row, name), "running");
	report->count++;
	int code = bench_mock_start(&mock, run->suite->weir, &run->suite->load, run->suite->seed,
				    100 + (unsigned)report->count);
	if (code < 0) {
		row->result.code = code;
		snprintf(row->result.note, sizeof row->result.note, "no weir mock: %s", weir_strerror(code));
		return;
	}
	run_pattern(run, variant, &mock, &row->result);
	row->run = row->result.code >= 0;
	bench_mock_stop(&mock);
}

static bool can_do(const struct peer *peer, const struct bench_variant *variant)
{
	if (variant->kind != BENCH_PROCESS || variant->pattern == WEIR_PATTERN_AUTO)
		return false;
	return !peer->few || variant->pattern == WEIR_PATTERN_QUEUE || variant->pattern == WEIR_PATTERN_SEMAPHORE;
}

static void run_peer(struct peer_run *run, size_t weir_rows)
{
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

void bench_peers_run(const struct bench_suite *suite, struct bench_report *report)
{
	size_t weir_rows = report->count, most = raise_descriptors();
	for (size_t i = 0; i < sizeof peers / sizeof peers[0]; i++) {
		struct peer_run run = {.suite = suite, .report = report, .peer = &peers[i], .most = most};
		run_peer(&run, weir_rows);
	}
}
