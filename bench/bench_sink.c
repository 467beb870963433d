/* SPDX-License-Identifier: MIT */
/*
 * The speed of sinks, disk syncs included: `bench-sink [-r RUNS] [-s SHARE] [-p URL]` prints one figure a line, "name
 * value unit", each the median of RUNS runs (5).  -s divides the amount of work, for a quick look.
 *
 *   sink_sqlite_rows_per_s    200,000 outputs of about 100 bytes, in batches of 500, into a fresh table with a key and
 *                             three columns, by write() as the engine calls it: parsing, upsert, commit
 *   sink_jsonl_lines_per_s    the same outputs as lines of a file
 *
 * With -p, instead, of the sink `postgres` at that URL, for 100,000 outputs of about 150 bytes in batches of 500
 * (scripts/bench-postgres makes the tables `orders`, with a key, and `plain`, both empty):
 *
 *   new, again, ledger        rows/s of rows that are new to `orders`, of the same ones once more, and into `plain`
 *   cpu                       processor time of this process for a row, the mean of these, in microseconds
 *
 * The files lie in TMPDIR, or else the working directory: /tmp may be no disk.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <weir/weir.h>

#include "port/adapters.h"

#define BATCH    500
#define RUNS_MAX 101

static size_t share = 1;
static char folder[512];

static void must(int code, const char *what, const char *why)
{
	if (code >= 0)
		return;
	fprintf(stderr, "bench-sink: %s: %s%s%s\n", what, weir_strerror(code), why ? ": " : "", why ? why : "");
	exit(1);
}

static void set(const struct adapter *adapter, void *config, const char *name, const void *value, size_t n)
{
	for (const struct key *key = adapter->keys; key->name; key++)
		if (strcmp(key->name, name) == 0)
			memcpy((char *)config + key->offset, value, n);
}

static int make_small(char *text, size_t room, size_t id)
{
	return snprintf(text, room,
			"{\"id\": %zu, \"customer\": \"customer number %zu\", \"total\": %zu.%02zu, "
			"\"currency\": \"EUR\", \"country\": \"DE\"}",
			id, id % 1000, id % BATCH * 7, id % 100);
}

/* As scripts/bench-postgres has COPY write them. */
static int make_order(char *text, size_t room, size_t id)
{
	return snprintf(
		text, room,
		"{\"id\":%zu,\"total\":%zu.25,\"customer\":\"customer-%08zu-some-name\",\"placed\":"
		"\"2026-05-01T12:00:%02zuZ\",\"lines\":[{\"sku\":\"a-%zu\",\"qty\":2},{\"sku\":\"b\",\"qty\":1}]}",
		id, id % 1000, id, id % 60, id);
}

typedef int (*make_fn)(char *text, size_t room, size_t id);

static void fill_batch(struct sink_item batch[BATCH], size_t first, make_fn make)
{
	for (size_t i = 0; i < BATCH; i++) {
		char text[200];
		struct item *item = item_new();
		struct value value;
		int n = make(text, sizeof text, first + i);
		must(item ? 0 : WEIR_ENOMEM, "item", NULL);
		must(value_copy(&value, text, (size_t)n), "value", NULL);
		must(value_list_take(&item->outputs, &value), "outputs", NULL);
		item->id = first + i;
		batch[i] = (struct sink_item){.item = item};
	}
}

struct bench {
	const struct adapter *adapter;
	const void *config;
	const char *run; /* sink_env.run */
	make_fn make;
	size_t rows;
	weir_nsec took, cpu; /* by write(), in all */
};

static weir_nsec cpu_time(void)
{
	struct timespec time;
	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
	return time.tv_sec * WEIR_SEC + time.tv_nsec;
}

static void write_one(struct bench *bench, struct sink *sink, size_t first)
{
	static struct sink_item batch[BATCH];
	struct weir_error err = {0};
	fill_batch(batch, first, bench->make);
	weir_nsec start = weir_clock(), cpu = cpu_time();
	must(bench->adapter->sink->write(sink, batch, BATCH, &err, WEIR_FOREVER), "write", err.text);
	bench->took += weir_clock() - start;
	bench->cpu += cpu_time() - cpu;
	for (size_t i = 0; i < BATCH; i++) {
		must(batch[i].verdict, "row", batch[i].why);
		item_free((struct item *)(uintptr_t)batch[i].item);
	}
}

/* Only write() is timed, not the making of the outputs. */
static double rows_per_second(struct bench *bench)
{
	const struct sink_ops *ops = bench->adapter->sink;
	struct weir_error err = {0};
	struct sink *sink;
	must(ops->open(bench->config, &(struct sink_env){.run = bench->run}, &sink, &err), "open", err.text);
	must(bench->run && ops->start ? ops->start(sink, &err) : 0, "start", err.text);
	for (size_t first = 0; first < bench->rows; first += BATCH)
		write_one(bench, sink, first);
	must(ops->close(sink, &err), "close", err.text);
	return (double)bench->rows * 1e9 / (double)bench->took;
}

static size_t shared(size_t rows)
{
	return rows / share / BATCH * BATCH;
}

static const char *file_in_folder(char path[600], const char *name)
{
	snprintf(path, 600, "%s/%s", folder, name);
	return path;
}

static void remove_files(void)
{
	static const char *const names[] = {"rows.db", "rows.db-wal", "rows.db-shm", "lines.jsonl"};
	char path[600];
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
		unlink(file_in_folder(path, names[i]));
}

static double bench_sqlite(void)
{
	char path[600], *names[] = {"id", "customer", "total"}, *file = path, *table = "rows";
	struct key_strings columns = {.values = names, .n = 3}, key = {.values = names, .n = 1};
	void *config = calloc(1, sink_sqlite_adapter.config_bytes);
	must(config ? 0 : WEIR_ENOMEM, "config", NULL);
	file_in_folder(path, "rows.db");
	set(&sink_sqlite_adapter, config, "path", &file, sizeof file);
	set(&sink_sqlite_adapter, config, "table", &table, sizeof table);
	set(&sink_sqlite_adapter, config, "key", &key, sizeof key);
	set(&sink_sqlite_adapter, config, "columns", &columns, sizeof columns);
	double value = rows_per_second(
		&(struct bench){&sink_sqlite_adapter, config, .make = make_small, .rows = shared(200000)});
	free(config);
	return value;
}

static double bench_jsonl(void)
{
	char path[600], *file = path;
	void *config = calloc(1, sink_jsonl_adapter.config_bytes);
	must(config ? 0 : WEIR_ENOMEM, "config", NULL);
	file_in_folder(path, "lines.jsonl");
	set(&sink_jsonl_adapter, config, "path", &file, sizeof file);
	double value = rows_per_second(
		&(struct bench){&sink_jsonl_adapter, config, .make = make_small, .rows = shared(200000)});
	free(config);
	return value;
}

static const struct figure {
	const char *name, *unit;
	double (*measure)(void);
} figures[] = {
	{"sink_sqlite_rows_per_s", "rows/s", bench_sqlite},
	{"sink_jsonl_lines_per_s", "lines/s", bench_jsonl},
};

/* The tables' columns are found; without a key there is a run, and so a ledger. */
static double bench_postgres(char *url, char *table, bool has_key, double *cpu)
{
	char *names[] = {"id"};
	struct key_strings key = {.values = names, .n = has_key};
	void *config = calloc(1, sink_postgres_adapter.config_bytes);
	must(config ? 0 : WEIR_ENOMEM, "config", NULL);
	set(&sink_postgres_adapter, config, "url", &url, sizeof url);
	set(&sink_postgres_adapter, config, "table", &table, sizeof table);
	set(&sink_postgres_adapter, config, "key", &key, sizeof key);
	set(&sink_postgres_adapter, config, "prepared", &(bool){true}, sizeof(bool));
	set(&sink_postgres_adapter, config, "ledger_keep", &(weir_nsec){3600 * WEIR_SEC}, sizeof(weir_nsec));
	struct bench bench = {&sink_postgres_adapter, config, .run = "0123456789abcdef0123456789abcdef",
			      .make = make_order, .rows = shared(100000)};
	double value = rows_per_second(&bench);
	*cpu += (double)bench.cpu / 3000 / (double)bench.rows;
	free(config);
	return value;
}

static int measure_postgres(void *url)
{
	double cpu = 0;
	printf("new %.0f rows/s\n", bench_postgres(url, "orders", true, &cpu));
	printf("again %.0f rows/s\n", bench_postgres(url, "orders", true, &cpu));
	printf("ledger %.0f rows/s\n", bench_postgres(url, "plain", false, &cpu));
	printf("cpu %.3f us\n", cpu);
	return 0;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static int measure_all(void *arg)
{
	int runs = *(int *)arg;
	double values[RUNS_MAX];
	for (size_t f = 0; f < sizeof figures / sizeof figures[0]; f++) {
		for (int i = 0; i < runs; i++) {
			values[i] = figures[f].measure();
			remove_files();
		}
		qsort(values, (size_t)runs, sizeof values[0], compare);
		printf("%s %.0f %s\n", figures[f].name, values[runs / 2], figures[f].unit);
		fflush(stdout);
	}
	return 0;
}

int main(int argc, char **argv)
{
	int option, runs = 5;
	char *url = NULL;
	while ((option = getopt(argc, argv, "r:s:p:")) != -1) {
		if (option == 'r')
			runs = atoi(optarg);
		else if (option == 's')
			share = strtoull(optarg, NULL, 10);
		else if (option == 'p')
			url = optarg;
		else
			return 64;
	}
	if (runs < 1 || runs > RUNS_MAX || share < 1 || share > 100) {
		fprintf(stderr, "bench-sink: -r takes 1 to %d, -s 1 to 100\n", RUNS_MAX);
		return 64;
	}
	/* qsort and printf want more stack than a fiber usually has. */
	const struct weir_options opts = {.stack_bytes = (size_t)256 << 10};
	if (url) {
		must(weir_run(&opts, measure_postgres, url), "run", NULL);
		return 0;
	}
	const char *base = getenv("TMPDIR");
	snprintf(folder, sizeof folder, "%.480s/bench-sink-XXXXXX", base && base[0] ? base : ".");
	must(mkdtemp(folder) ? 0 : -errno, folder, NULL);
	int code = weir_run(&opts, measure_all, &runs);
	rmdir(folder);
	must(code, "run", NULL);
	return 0;
}
