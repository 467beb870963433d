/* SPDX-License-Identifier: MIT */
/*
 * The speed of the durable store, disk syncs included: `bench-store [-r RUNS] [-s SHARE]` prints one figure a line,
 * "name value unit", each the median of RUNS runs (5).  -s divides the amount of work, for a quick look.
 *
 *   store_items_per_s    500,000 items of 512 bytes go through: puts of 256, each a commit; loaded from the file again,
 *                        a chunk at a time, while 4,096 others wait behind them; acks of 256 to 500, each a commit
 *
 * The files lie in TMPDIR, or else the working directory: /tmp may be no disk.
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir/random.h>
#include <weir/weir.h>

#include "sqlite/store/store.h"

#define ITEM_BYTES 512
#define BACKLOG    4096 /* items that are put before the first is loaded */
#define ACKS_MIN   256
#define ACKS_MAX   500
#define RUNS_MAX   101

static size_t share = 1;
static char folder[512];
static struct weir_error err;

static void must(int code, const char *what)
{
	if (code >= 0)
		return;
	fprintf(stderr, "bench-store: %s: %s: %s\n", what, weir_strerror(code), err.text);
	exit(1);
}

struct flow {
	struct store *store;
	struct item *fresh[STORE_CHUNK_ITEMS];
	struct item *leased[STORE_CHUNK_ITEMS + ACKS_MAX];
	size_t leased_n;
	uint64_t next_load, position, acked;
	uint64_t random;
};

static void make_items(struct flow *flow)
{
	char text[ITEM_BYTES + 1];
	for (size_t i = 0; i < STORE_CHUNK_ITEMS; i++) {
		memset(text, 'x', ITEM_BYTES);
		snprintf(text, sizeof text, "{\"id\": %zu, \"text\": \"", i);
		text[strlen(text)] = 'x';
		memcpy(text + ITEM_BYTES - 2, "\"}", 2);
		must((flow->fresh[i] = item_new()) ? 0 : WEIR_ENOMEM, "item");
		must(value_copy(&flow->fresh[i]->source, text, ITEM_BYTES), "item");
	}
}

static void put_chunk(struct flow *flow)
{
	struct store_put put = {store_next_chunk(flow->store), flow->fresh, STORE_CHUNK_ITEMS};
	struct source_cursor cursor;
	for (size_t i = 0; i < STORE_CHUNK_ITEMS; i++)
		flow->fresh[i]->position = ++flow->position;
	snprintf(cursor.text, sizeof cursor.text, "offset=%llu", (unsigned long long)flow->position);
	must(store_commit(flow->store, &(struct store_batch){.puts = &put, .put_count = 1, .cursor = &cursor}, &err),
	     "put");
}

static void load_chunk(struct flow *flow)
{
	int n = store_load(flow->store, flow->next_load++, flow->leased + flow->leased_n, &err);
	must(n, "load");
	flow->leased_n += (size_t)n;
}

static void ack(struct flow *flow, size_t n)
{
	struct store_ack acks[ACKS_MAX];
	char text[64];
	struct value position = {text,
				 (size_t)snprintf(text, sizeof text, "off=%llu", (unsigned long long)flow->acked)};
	for (size_t i = 0; i < n; i++)
		acks[i] = (struct store_ack){.id = flow->leased[i]->id};
	must(store_commit(flow->store,
			  &(struct store_batch){.acks = acks, .ack_count = n, .positions = {[OUTLET_SINK] = &position}},
			  &err),
	     "ack");
	for (size_t i = 0; i < n; i++)
		item_free(flow->leased[i]);
	flow->leased_n -= n;
	memmove(flow->leased, flow->leased + n, flow->leased_n * sizeof flow->leased[0]);
	flow->acked += n;
}

static void ack_all(struct flow *flow, uint64_t items)
{
	size_t n = ACKS_MIN + weir_random_below(&flow->random, ACKS_MAX - ACKS_MIN + 1);
	while (flow->acked < items) {
		if (n > items - flow->acked)
			n = items - flow->acked;
		while (flow->leased_n < n)
			load_chunk(flow);
		ack(flow, n);
		if (flow->position < items || flow->position - flow->acked >= BACKLOG)
			break;
	}
}

static double items_per_second(void)
{
	static struct flow flow;
	const uint64_t items = 500000 / share / STORE_CHUNK_ITEMS * STORE_CHUNK_ITEMS;
	flow = (struct flow){.next_load = 1, .random = 1};
	must(store_open(folder, STORE_CREATE, &flow.store, &err), "open");
	must(store_start(flow.store, &(struct broker_start){.run = "0123456789abcdef0123456789abcdef"}, &err), "start");
	make_items(&flow);
	weir_nsec start = weir_clock();
	while (flow.acked < items) {
		if (flow.position < items)
			put_chunk(&flow);
		if (flow.position - flow.acked >= BACKLOG || flow.position == items)
			ack_all(&flow, items);
	}
	weir_nsec took = weir_clock() - start;
	for (size_t i = 0; i < STORE_CHUNK_ITEMS; i++)
		item_free(flow.fresh[i]);
	store_close(flow.store);
	return (double)items * 1e9 / (double)took;
}

static void remove_files(void)
{
	static const char *const names[] = {STORE_FILE, STORE_FILE "-wal"};
	char path[600];
	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	int option, runs = 5;
	double values[RUNS_MAX];
	while ((option = getopt(argc, argv, "r:s:")) != -1) {
		if (option == 'r')
			runs = atoi(optarg);
		else if (option == 's')
			share = strtoull(optarg, NULL, 10);
		else
			return 64;
	}
	if (runs < 1 || runs > RUNS_MAX || share < 1 || share > 100) {
		fprintf(stderr, "bench-store: -r takes 1 to %d, -s 1 to 100\n", RUNS_MAX);
		return 64;
	}
	const char *base = getenv("TMPDIR");
	snprintf(folder, sizeof folder, "%.480s/bench-store-XXXXXX", base && base[0] ? base : ".");
	must(mkdtemp(folder) ? 0 : -errno, folder);
	for (int i = 0; i < runs; i++) {
		values[i] = items_per_second();
		remove_files();
	}
	rmdir(folder);
	qsort(values, (size_t)runs, sizeof values[0], compare);
	printf("store_items_per_s %.0f items/s\n", values[runs / 2]);
	return 0;
}
