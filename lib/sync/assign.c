/* SPDX-License-Identifier: MIT */
/* Calls on their way through the lists of a pool: into the batch of a child, and to their end. */
#include "sync/worker.h"

#include <stdlib.h>
#include <string.h>

enum {
	BATCH_BYTES = 256 * 1024, /* under way to one child, unless a single line is longer */
	KEPT_BYTES = 256 * 1024,  /* of a buffer that is empty */
	FIRST_BYTES = 32 * 1024,
};

/* Lists of calls */

void weir__calls_push(struct child_calls *calls, struct child_call *call)
{
	call->list = calls;
	TAILQ_INSERT_TAIL(calls, call, others);
}

void weir__calls_remove(struct child_call *call)
{
	TAILQ_REMOVE(call->list, call, others);
	call->list = NULL;
}

struct child_call *weir__calls_pop(struct child_calls *calls)
{
	struct child_call *call = TAILQ_FIRST(calls);
	if (call)
		weir__calls_remove(call);
	return call;
}

/* Buffers */

void weir__bytes_empty(struct child_bytes *bytes)
{
	bytes->from = bytes->len = 0;
	if (bytes->room > KEPT_BYTES) {
		free(bytes->data);
		*bytes = (struct child_bytes){0};
	}
}

int weir__bytes_reserve(struct child_bytes *bytes, size_t n)
{
	if (bytes->room - bytes->len >= n)
		return 0;
	if (bytes->from) {
		memmove(bytes->data, bytes->data + bytes->from, bytes->len - bytes->from);
		bytes->len -= bytes->from;
		bytes->from = 0;
		if (bytes->room - bytes->len >= n)
			return 0;
	}
	size_t room = bytes->room ? bytes->room * 2 : FIRST_BYTES;
	if (room < bytes->len + n)
		room = bytes->len + n;
	char *data = realloc(bytes->data, room);
	if (!data)
		return WEIR_ENOMEM;
	bytes->data = data;
	bytes->room = room;
	return 0;
}

void weir__call_finish(struct weir_child *pool, struct child_call *call, int code, char *answer, size_t answer_bytes)
{
	if (call->abandoned) {
		free(answer);
		free(call);
		return;
	}
	pool->live--;
	call->finished = true;
	call->code = code;
	call->answer = answer;
	call->answer_bytes = answer_bytes;
	weir__wake_all(&call->waiter, 0);
}

void weir__worker_set_limit(struct child_worker *worker)
{
	const struct weir_child_options *opts = &worker->pool->options;
	weir_nsec at = opts->time_limit ? weir_now() + opts->time_limit : WEIR_FOREVER;
	if (worker->fresh && opts->start_limit && at < worker->started + opts->start_limit)
		at = worker->started + opts->start_limit;
	worker->limit_at = !TAILQ_EMPTY(&worker->under_way) ? at : WEIR_FOREVER;
}

char *weir__write_number(char text[WEIR__NUMBER_MOST], uint64_t number)
{
	char *at = &text[WEIR__NUMBER_MOST - 1];
	*at = ' ';
	for (; number; number /= 10)
		*--at = (char)('0' + number % 10);
	return at;
}

void weir__worker_put(struct child_worker *worker, const char *data, size_t n)
{
	struct child_bytes *out = &worker->out;
	memcpy(out->data + out->len, data, n);
	out->len += n;
	worker->put += n;
}

void weir__worker_assign(struct child_worker *worker, struct child_call *call)
{
	char text[WEIR__NUMBER_MOST], *end = text + WEIR__NUMBER_MOST;
	if (weir__bytes_reserve(&worker->out, WEIR__NUMBER_MOST + call->n + 1)) {
		weir__call_finish(worker->pool, call, WEIR_ENOMEM, NULL, 0);
		return;
	}
	call->begins = worker->put;
	call->number = ++worker->numbered;
	if (worker->pool->options.flags & WEIR_CHILD_NUMBERED) {
		const char *number = weir__write_number(text, call->number);
		weir__worker_put(worker, number, (size_t)(end - number));
	}
	weir__worker_put(worker, call->line, call->n);
	weir__worker_put(worker, "\n", 1);
	worker->bytes += call->n + 1;
	worker->alone = call->suspected;
	worker->lines++;
	weir__calls_push(&worker->under_way, call);
	if (TAILQ_FIRST(&worker->under_way) == call)
		weir__worker_set_limit(worker);
	if (!worker->awake) {
		worker->awake = true;
		weir_io_wake(worker->process.io);
	}
}

static bool has_room(const struct child_worker *worker, size_t n)
{
	return worker->up && !worker->alone && worker->lines < worker->pool->options.batch &&
	       (!worker->lines || worker->bytes + n < BATCH_BYTES);
}

/* The pool */

/* The child with the fewest lines under way that can take one of n bytes more, or NULL. */
static struct child_worker *pick(struct weir_child *pool, size_t n)
{
	struct child_worker *best = NULL;
	for (struct child_worker *worker = pool->workers; worker < pool->workers + pool->count; worker++) {
		if (has_room(worker, n) && (!best || worker->lines < best->lines))
			best = worker;
	}
	return best;
}

void weir__child_dispatch(struct weir_child *pool)
{
	struct child_worker *worker;
	while (!TAILQ_EMPTY(&pool->queue) && (worker = pick(pool, TAILQ_FIRST(&pool->queue)->n)))
		weir__worker_assign(worker, weir__calls_pop(&pool->queue));
}

bool weir__child_is_given_up(const struct weir_child *pool)
{
	for (unsigned i = 0; i < pool->count; i++)
		if (!pool->workers[i].given_up)
			return false;
	return true;
}
