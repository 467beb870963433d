/* SPDX-License-Identifier: MIT */
/*
 * What scripts/bench-fleet needs beside weir itself; each prints one figure a line, "name value unit":
 *
 *   bench-fleet bound SOCKET ITEMS BYTES    the fastest that the scripts of the queue allow: sends what weir sends for
 *                                           ITEMS items with bodies of BYTES, in calls of 256 items, two of which are
 *                                           always under way, and does nothing else
 *   bench-fleet latency IN OUT JOBS         writes a line to IN, waits for it at OUT, and so on, with pauses of 5 to
 *                                           45 ms between them; the first WARM_UP jobs do not count
 */
#include <errno.h>
#include <fcntl.h>
#include <hiredis.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <weir/random.h>
#include <weir/weir.h>

#include "redis/broker/entry.h"
#include "redis/command.h"
#include "redis/scripts.h"

enum { AT_ONCE = 2, WARM_UP = 10, JOBS_MOST = 100000, PATIENCE_MS = 10000 };

__attribute__((noreturn, format(printf, 1, 2))) static void die(const char *format, ...)
{
	va_list args;
	va_start(args, format);
	fputs("bench-fleet: ", stderr);
	vfprintf(stderr, format, args);
	fputc('\n', stderr);
	va_end(args);
	exit(1);
}

static double seconds_since(weir_nsec start)
{
	return (double)(weir_clock() - start) / 1e9;
}

/* ---- calls */

#define RUN    "00000000000000000000000000000000"
#define PREFIX "weir:{bench}:"

struct bound {
	redisContext *redis;
	struct redis_script scripts[REDIS_SCRIPTS];
	struct redis_command words; /* of the call that is being written, without its head */
	uint64_t items;
	size_t bytes;
	char worker[64], cursor[24]; /* as which it calls; where the queue stands */
};

static const char *const keys[] = REDIS_KEYS;
static const char item_limit[] = "1000000", byte_limit[] = "1073741824", aging[] = "5000"; /* the defaults */

static void add_number(struct bound *bound, uint64_t number)
{
	redis_add_number(&bound->words, (int64_t)number);
}

/* The words that each call begins with. */
static void begin(struct bound *bound, enum redis_script_name script)
{
	struct redis_command *words = &bound->words;
	size_t named = sizeof keys / sizeof *keys;
	char key[64];
	redis_command_clear(words);
	redis_add_text(words, "EVALSHA");
	redis_add_text(words, bound->scripts[script].sha);
	add_number(bound, named + REDIS_CLASSES_MOST);
	for (size_t i = 0; i < named + REDIS_CLASSES_MOST; i++) {
		if (i < named)
			snprintf(key, sizeof key, PREFIX "%s", keys[i]);
		else
			snprintf(key, sizeof key, PREFIX "fresh:%zu", i - named);
		redis_add_text(words, key);
	}
}

static void send_call(struct bound *bound)
{
	char head[32];
	int n = snprintf(head, sizeof head, "*%zu\r\n", bound->words.n);
	if (bound->words.words.failed || redisAppendFormattedCommand(bound->redis, head, (size_t)n) != REDIS_OK ||
	    redisAppendFormattedCommand(bound->redis, bound->words.words.data, bound->words.words.len) != REDIS_OK)
		die("out of memory");
}

static void flush(struct bound *bound)
{
	int done = 0;
	while (!done)
		if (redisBufferWrite(bound->redis, &done) != REDIS_OK)
			die("%s", bound->redis->errstr);
}

/* The answer of a script that must be OK; of TAKE it may be END. */
static redisReply *hear(struct bound *bound)
{
	void *answer = NULL;
	if (redisGetReply(bound->redis, &answer) != REDIS_OK)
		die("%s", bound->redis->errstr);
	redisReply *reply = answer;
	if (reply->type != REDIS_REPLY_ARRAY)
		die("%s", reply->str);
	if (strcmp(reply->element[0]->str, "OK") != 0)
		die("the server answers %s", reply->element[0]->str);
	return reply;
}

static void join(struct bound *bound, const char *role)
{
	bool submits = !strcmp(role, "submit");
	const char *const words[] = {submits ? "" : RUN,       "bench", RUN, role, REDIS_FORMAT, "plan", "file",
				     submits ? "=source" : "", "{}",    ""};
	begin(bound, REDIS_START);
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		redis_add_text(&bound->words, words[i]);
	send_call(bound);
	redisReply *reply = hear(bound);
	snprintf(bound->worker, sizeof bound->worker, "%s", reply->element[1]->str);
	freeReplyObject(reply);
}

static void begin_as(struct bound *bound, enum redis_script_name script)
{
	begin(bound, script);
	redis_add_text(&bound->words, RUN);
	redis_add_text(&bound->words, bound->worker);
}

/* ---- the two phases */

static uint64_t send_items(struct bound *bound, uint64_t first, const char *body)
{
	uint64_t n = bound->items - first < REDIS_ITEMS_MOST ? bound->items - first : REDIS_ITEMS_MOST;
	begin_as(bound, REDIS_ENQ);
	redis_add_text(&bound->words, bound->cursor);
	snprintf(bound->cursor, sizeof bound->cursor, "%llu", (unsigned long long)(first + n));
	redis_add_text(&bound->words, bound->cursor);
	redis_add_text(&bound->words, item_limit);
	redis_add_text(&bound->words, byte_limit);
	for (uint64_t i = 0; i < n; i++) {
		const struct entry_meta meta = {.position = first + i + 1, .ages = {0, -1, -1}};
		struct buf text = {0};
		entry_meta_write(&meta, &text);
		add_number(bound, 0);
		redis_add(&bound->words, text.data, text.len);
		redis_add(&bound->words, body, bound->bytes);
		buf_fini(&text);
	}
	send_call(bound);
	flush(bound);
	return n;
}

static void enqueue(struct bound *bound)
{
	char *body = malloc(bound->bytes);
	uint64_t sent = 0;
	int under_way = 0;
	if (!body)
		die("out of memory");
	memset(body, 'x', bound->bytes);
	join(bound, "submit");
	while (sent < bound->items || under_way) {
		if (sent < bound->items && under_way < AT_ONCE) {
			sent += send_items(bound, sent, body);
			under_way++;
		} else {
			freeReplyObject(hear(bound));
			under_way--;
		}
	}
	begin_as(bound, REDIS_SEAL);
	redis_add_text(&bound->words, bound->cursor);
	send_call(bound);
	freeReplyObject(hear(bound));
	free(body);
}

static void ask_for_items(struct bound *bound)
{
	begin_as(bound, REDIS_TAKE);
	add_number(bound, REDIS_ITEMS_MOST);
	redis_add_text(&bound->words, "0");
	redis_add_text(&bound->words, aging);
	send_call(bound);
}

static void settle(struct bound *bound, const redisReply *entries)
{
	begin_as(bound, REDIS_DONE);
	for (size_t i = 0; i < entries->elements; i++) {
		redisReply *const *entry = entries->element[i]->element;
		redis_add_text(&bound->words, "succeeded");
		redis_add_number(&bound->words, entry[0]->integer);
		redis_add_text(&bound->words, entry[1]->str);
	}
	send_call(bound);
}

/* Answers come in the order of the calls: what each one is to. */
struct calls {
	enum redis_script_name first[2 * AT_ONCE + 1];
	size_t n;
};

static void note_call(struct calls *calls, enum redis_script_name script)
{
	calls->first[calls->n++] = script;
}

static enum redis_script_name next_call(struct calls *calls)
{
	enum redis_script_name script = calls->first[0];
	memmove(calls->first, calls->first + 1, --calls->n * sizeof *calls->first);
	return script;
}

static void work(struct bound *bound)
{
	struct calls calls = {.n = 0};
	uint64_t taken = 0, settled = 0;
	join(bound, "work");
	for (int i = 0; i < AT_ONCE; i++) {
		ask_for_items(bound);
		note_call(&calls, REDIS_TAKE);
	}
	while (settled < bound->items) {
		redisReply *reply = hear(bound);
		if (next_call(&calls) == REDIS_DONE) {
			settled += (uint64_t)reply->element[1]->integer;
		} else if (reply->element[2]->elements) {
			taken += reply->element[2]->elements;
			settle(bound, reply->element[2]);
			note_call(&calls, REDIS_DONE);
			if (taken < bound->items) {
				ask_for_items(bound);
				note_call(&calls, REDIS_TAKE);
			}
			flush(bound);
		}
		freeReplyObject(reply);
	}
}

static void run_bound(const char *socket, uint64_t items, size_t bytes)
{
	struct bound bound = {.redis = redisConnectUnix(socket), .items = items, .bytes = bytes};
	if (!bound.redis || bound.redis->err)
		die("%s: %s", socket, bound.redis ? bound.redis->errstr : "out of memory");
	for (int i = 0; i < REDIS_SCRIPTS; i++) {
		redis_script_init(&bound.scripts[i], redis_script_texts[i]);
		freeReplyObject(redisCommand(bound.redis, "SCRIPT LOAD %s", redis_script_texts[i]));
	}
	weir_nsec start = weir_clock();
	enqueue(&bound);
	printf("enqueue_s %.6f s\n", seconds_since(start));
	start = weir_clock();
	work(&bound);
	printf("work_s %.6f s\n", seconds_since(start));
	redis_command_fini(&bound.words);
	redisFree(bound.redis);
}

/* ---- one job after the other */

static void read_line(int fd, char *line, size_t room)
{
	size_t n = 0;
	while (!n || line[n - 1] != '\n') {
		struct pollfd poller = {.fd = fd, .events = POLLIN};
		if (poll(&poller, 1, PATIENCE_MS) <= 0)
			die("a job has not come back in %d s", PATIENCE_MS / 1000);
		ssize_t got = read(fd, line + n, room - 1 - n);
		if (got <= 0)
			die("nobody writes any more");
		n += (size_t)got;
	}
	line[n] = 0;
}

static double time_job(int in, int out, size_t number)
{
	char line[64], back[64];
	int n = snprintf(line, sizeof line, "{\"n\":%zu}\n", number);
	weir_nsec start = weir_clock();
	if (write(in, line, (size_t)n) != n)
		die("nobody reads any more");
	read_line(out, back, sizeof back);
	if (strcmp(line, back) != 0)
		die("sent %s, got %s", line, back);
	return seconds_since(start);
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

static void run_latency(const char *to, const char *from, size_t jobs)
{
	static double took[JOBS_MOST];
	uint64_t random = 1;
	int in = open(to, O_WRONLY | O_CLOEXEC), out = open(from, O_RDONLY | O_CLOEXEC);
	if (in < 0 || out < 0 || !jobs || jobs > JOBS_MOST)
		die("%s, %s: %s", to, from, jobs && jobs <= JOBS_MOST ? strerror(errno) : "no number of jobs");
	for (size_t i = 0; i < WARM_UP + jobs; i++) {
		double one = time_job(in, out, i);
		if (i >= WARM_UP)
			took[i - WARM_UP] = one * 1e3;
		usleep((useconds_t)(5000 + weir_random_below(&random, 40000)));
	}
	qsort(took, jobs, sizeof *took, compare);
	printf("p50_ms %.3f ms\np99_ms %.3f ms\nmost_ms %.3f ms\n", took[jobs / 2], took[jobs * 99 / 100],
	       took[jobs - 1]);
	close(in);
	close(out);
}

int main(int argc, char **argv)
{
	if (argc == 5 && !strcmp(argv[1], "bound"))
		run_bound(argv[2], strtoull(argv[3], NULL, 10), strtoull(argv[4], NULL, 10));
	else if (argc == 5 && !strcmp(argv[1], "latency"))
		run_latency(argv[2], argv[3], strtoull(argv[4], NULL, 10));
	else
		die("usage: bench-fleet bound SOCKET ITEMS BYTES | latency IN OUT JOBS");
	return 0;
}
