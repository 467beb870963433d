/* SPDX-License-Identifier: MIT */
/*
 * The speed of the SQLite sink, disk syncs included: `bench-sink [-r RUNS] [-s SHARE]` prints one figure a line, "name
 * value unit", each the median of RUNS runs (5).  -s divides the amount of work, for a quick look.
 *
 *   sink_sqlite_rows_per_s    200,000 outputs of about 100 bytes, in batches of 500, into a fresh table with a key and
 *                             three columns, by write() as the engine calls it: parsing, upsert, commit
 *   sink_jsonl_lines_per_s    the same outputs as lines of a file
 *
 * The files lie in TMPDIR, or else the working directory: /tmp may be no disk.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

static void fill_batch(struct sink_item batch[BATCH], size_t first)
{
	for (size_t i = 0; i < BATCH; i++) {
		char text[160];
		struct item *item = item_new();
		struct value value;
		int n = snprintf(text, sizeof text,
				 "{\"id\": %zu, \"customer\": \"customer number %zu\", \"total\": %zu.%02zu, "
				 "\"currency\": \"EUR\", \"country\": \"DE\"}",
				 first + i, (first + i) % 1000, i * 7, i % 100);
		must(item ? 0 : WEIR_ENOMEM, "item", NULL);
		must(value_copy(&value, text, (size_t)n), "value", NULL);
		must(value_list_take(&item->outputs, &value), "outputs", NULL);
		batch[i] = (struct sink_item){.item = item};
	}
}

/* Only write() is timed, not the making of the outputs. */
static double rows_per_second(const struct adapter *adapter, const void *config)
{
	static struct sink_item batch[BATCH];
	const size_t rows = 200000 / share / BATCH * BATCH;
	struct weir_error err = {0};
	struct sink *sink;
	weir_nsec took = 0;
	must(adapter->sink->open(config, &(struct sink_env){0}, &sink, &err), "open", err.text);
	for (size_t first = 0; first < rows; first += BATCH) {
		fill_batch(batch, first);
		weir_nsec start = weir_clock();
		must(adapter->sink->write(sink, batch, BATCH, &err, WEIR_FOREVER), "write", err.text);
		took += weir_clock() - start;
		for (size_t i = 0; i < BATCH; i++) {
			must(batch[i].verdict, "row", batch[i].why);
			item_free((struct item *)(uintptr_t)batch[i].item);
		}
	}
	must(adapter->sink->close(sink, &err), "close", err.text);
	return (double)rows * 1e9 / (double)took;
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
	struct key_strings columns = {.values = names, .n = 3};
	void *config = calloc(1, sink_sqlite_adapter.config_bytes);
	must(config ? 0 : WEIR_ENOMEM, "config", NULL);
	file_in_folder(path, "rows.db");
	set(&sink_sqlite_adapter, config, "path", &file, sizeof file);
	set(&sink_sqlite_adapter, config, "table", &table, sizeof table);
	set(&sink_sqlite_adapter, config, "key", &names[0], sizeof names[0]);
	set(&sink_sqlite_adapter, config, "columns", &columns, sizeof columns);
	double value = rows_per_second(&sink_sqlite_adapter, config);
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
	double value = rows_per_second(&sink_jsonl_adapter, config);
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
	while ((option = getopt(argc, argv, "r:s:")) != -1) {
		if (option == 'r')
			runs = atoi(optarg);
		else if (option == 's')
			share = strtoull(optarg, NULL, 10);
		else
			return 64;
	}
	if (runs < 1 || runs > RUNS_MAX || share < 1 || share > 100) {
		fprintf(stderr, "bench-sink: -r takes 1 to %d, -s 1 to 100\n", RUNS_MAX);
		return 64;
	}
	const char *base = getenv("TMPDIR");
	snprintf(folder, sizeof folder, "%.480s/bench-sink-XXXXXX", base && base[0] ? base : ".");
	must(mkdtemp(folder) ? 0 : -errno, folder, NULL);
	/* qsort and printf want more stack than a fiber usually has. */
	int code = weir_run(&(struct weir_options){.stack_bytes = (size_t)256 << 10}, measure_all, &runs);
	rmdir(folder);
	must(code, "run", NULL);
	return 0;
}
