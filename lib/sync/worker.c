/* SPDX-License-Identifier: MIT */
/*
 * The life of one child: started, served, ended, started again.
 *
 * The worker sends in one go what was gathered since its last turn.  Answers belong to the lines under way in order, so
 * when the child dies or is too slow, the first of them is the culprit if any byte of it was sent; the others go back
 * to the head of the queue.
 *
 * A child that dies without a culprit is started again after a pause that doubles; after BARREN_MOST such deaths
 * without an answer or a long life in between it is given up.  A child that was given a line cannot die for ever: each
 * time costs one line.
 */
#include "sync/worker.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

enum {
	BATCH_BYTES = 256 * 1024, /* under way to one child, unless a single line is longer */
	READ_BYTES = 32 * 1024,
	KEPT_BYTES = 256 * 1024, /* of a buffer that is empty */
	BARREN_MOST = 5,
};

#define PAUSE_FIRST (10 * WEIR_MSEC)
#define PAUSE_MOST  WEIR_SEC
#define END_GRACE   WEIR_SEC

/* Lists of calls */

void weir__calls_push(struct calls *calls, struct call *call)
{
	call->list = calls;
	call->next = NULL;
	call->prev = calls->tail;
	*(calls->tail ? &calls->tail->next : &calls->head) = call;
	calls->tail = call;
}

void weir__calls_remove(struct call *call)
{
	struct calls *calls = call->list;
	*(call->prev ? &call->prev->next : &calls->head) = call->next;
	*(call->next ? &call->next->prev : &calls->tail) = call->prev;
	call->list = NULL;
}

struct call *weir__calls_pop(struct calls *calls)
{
	struct call *call = calls->head;
	if (!call)
		return NULL;
	calls->head = call->next;
	*(call->next ? &call->next->prev : &calls->tail) = NULL;
	call->list = NULL;
	return call;
}

/* Buffers */

static void empty(struct bytes *bytes)
{
	bytes->from = bytes->len = 0;
	if (bytes->room > KEPT_BYTES) {
		free(bytes->data);
		*bytes = (struct bytes){0};
	}
}

/* Room for n more bytes behind the content: WEIR_ENOMEM. */
static int make_room(struct bytes *bytes, size_t n)
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
	size_t room = bytes->room ? bytes->room * 2 : READ_BYTES;
	if (room < bytes->len + n)
		room = bytes->len + n;
	char *data = realloc(bytes->data, room);
	if (!data)
		return WEIR_ENOMEM;
	bytes->data = data;
	bytes->room = room;
	return 0;
}

/* Traffic with a child */

void weir__call_finish(struct weir_child *pool, struct call *call, int code, char *answer, size_t answer_bytes)
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

/* From now on the first line under way is the one the child works on. */
static void set_limit(struct worker *worker)
{
	const struct weir_child_options *opts = &worker->pool->options;
	weir_nsec at = opts->time_limit ? weir_now() + opts->time_limit : WEIR_FOREVER;
	if (worker->fresh && opts->start_limit && at < worker->started + opts->start_limit)
		at = worker->started + opts->start_limit;
	worker->limit_at = worker->under_way.head ? at : WEIR_FOREVER;
}

void weir__worker_assign(struct worker *worker, struct call *call)
{
	struct bytes *out = &worker->out;
	if (make_room(out, call->n + 1)) {
		weir__call_finish(worker->pool, call, WEIR_ENOMEM, NULL, 0);
		return;
	}
	memcpy(out->data + out->len, call->line, call->n);
	out->data[out->len + call->n] = '\n';
	out->len += call->n + 1;
	call->begins = worker->put;
	worker->put += call->n + 1;
	worker->bytes += call->n + 1;
	worker->lines++;
	weir__calls_push(&worker->under_way, call);
	if (worker->under_way.head == call)
		set_limit(worker);
	if (!worker->awake) {
		worker->awake = true;
		weir_io_wake(worker->process.io);
	}
}

bool weir__worker_has_room(const struct worker *worker, size_t n)
{
	return worker->up && worker->lines < worker->pool->options.batch &&
	       (!worker->lines || worker->bytes + n < BATCH_BYTES);
}

/* What the child works on is done; the next line is its turn. */
static struct call *pop_first(struct worker *worker)
{
	struct call *call = weir__calls_pop(&worker->under_way);
	worker->lines--;
	worker->bytes -= call->n + 1;
	return call;
}

/* The n bytes are the answer to the first line under way: false if there is none. */
static bool answer_first(struct worker *worker, const char *text, size_t n)
{
	if (!worker->under_way.head)
		return false;
	struct call *call = pop_first(worker);
	char *answer = call->abandoned ? NULL : malloc(n + 1);
	if (answer) {
		memcpy(answer, text, n);
		answer[n] = 0;
	}
	worker->fresh = false;
	worker->barren = 0;
	worker->pool->stats.answers++;
	weir__call_finish(worker->pool, call, answer ? 0 : WEIR_ENOMEM, answer, answer ? n : 0);
	return true;
}

/* Gives out the whole lines in `in`: their number, or WEIR_EDIED when the child broke the rules. */
static int take_answers(struct worker *worker)
{
	struct bytes *in = &worker->in;
	char *newline;
	int answers = 0;
	while ((newline = memchr(in->data + worker->scanned, '\n', in->len - worker->scanned))) {
		size_t end = (size_t)(newline - in->data);
		if (end - in->from > worker->pool->options.answer_bytes ||
		    !answer_first(worker, in->data + in->from, end - in->from))
			return WEIR_EDIED;
		answers++;
		worker->scanned = in->from = end + 1;
	}
	if (in->from == in->len)
		empty(in);
	worker->scanned = in->len;
	if (answers)
		set_limit(worker);
	return in->len - in->from > worker->pool->options.answer_bytes ? WEIR_EDIED : answers;
}

/* Reads what there is: the number of answers in it, WEIR_EDIED at the end of file and the like, or WEIR_ENOMEM. */
static int receive(struct worker *worker)
{
	struct bytes *in = &worker->in;
	int answers = 0;
	for (;;) {
		size_t unread = worker->scanned - in->from;
		if (make_room(in, READ_BYTES))
			return WEIR_ENOMEM;
		worker->scanned = in->from + unread;
		size_t room = in->room - in->len;
		ssize_t n = recv(worker->process.fd, in->data + in->len, room, 0);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return answers;
		if (n <= 0)
			return WEIR_EDIED;
		in->len += (size_t)n;
		int more = take_answers(worker);
		if (more < 0)
			return more;
		answers += more;
		if ((size_t)n < room)
			return answers;
	}
}

/* Sends what the socket takes: 0, or WEIR_EDIED. */
static int transmit(struct worker *worker)
{
	struct bytes *out = &worker->out;
	while (out->from < out->len) {
		ssize_t n = send(worker->process.fd, out->data + out->from, out->len - out->from, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : WEIR_EDIED;
		out->from += (size_t)n;
		worker->sent += (size_t)n;
	}
	empty(out);
	return 0;
}

/* Carries lines and answers until the child ends or must: WEIR_EDIED, WEIR_ETIMEDOUT, WEIR_ENOMEM for its answers, or
 * WEIR_ECLOSED with the pool. */
static int serve(struct worker *worker)
{
	while (!worker->pool->closing) {
		if (transmit(worker)) {
			receive(worker); /* the answers it left */
			return WEIR_EDIED;
		}
		unsigned events = WEIR_READABLE;
		if (worker->out.len)
			events |= WEIR_WRITABLE;
		worker->awake = false;
		int code = weir_io_wait(worker->process.io, events, worker->limit_at);
		worker->awake = true;
		bool late = code == WEIR_ETIMEDOUT;
		if (code < 0 && !late)
			return WEIR_EDIED;
		/* It may be this loop that was late. */
		if (late || code & WEIR_READABLE)
			code = receive(worker);
		if (code < 0)
			return code;
		if (late && code == 0)
			return WEIR_ETIMEDOUT;
		weir__child_dispatch(worker->pool);
	}
	return WEIR_ECLOSED;
}

/* The life of a child */

int weir__worker_start(struct worker *worker)
{
	int code = weir__subprocess_start(&worker->pool->options, &worker->process);
	if (code)
		return code;
	worker->started = weir_now();
	worker->limit_at = WEIR_FOREVER;
	worker->put = worker->sent = 0;
	worker->up = worker->fresh = worker->awake = true;
	return 0;
}

/* Hands the lines of a child that is no more to others, or back to the queue, but for the one it ended of. */
static void take_back(struct worker *worker, int why)
{
	struct weir_child *pool = worker->pool;
	struct call *first = worker->under_way.head;
	if (first && (why == WEIR_ETIMEDOUT || first->begins < worker->sent))
		weir__call_finish(pool, weir__calls_pop(&worker->under_way), why, NULL, 0);
	else if (weir_now() - worker->started > PAUSE_MOST)
		worker->barren = 1;
	else
		worker->barren++;
	struct calls waiting = pool->queue;
	struct call *call;
	pool->queue = (struct calls){0};
	while ((call = weir__calls_pop(&worker->under_way))) {
		if (call->abandoned)
			free(call);
		else
			weir__calls_push(&pool->queue, call);
	}
	while ((call = weir__calls_pop(&waiting)))
		weir__calls_push(&pool->queue, call);
	worker->lines = 0;
	worker->bytes = 0;
	empty(&worker->out);
	empty(&worker->in);
	worker->scanned = 0;
	weir__child_dispatch(pool);
}

static void pause_until(struct worker *worker, weir_nsec deadline)
{
	struct weir__waiter self = {.what = "child restart"};
	if (!worker->pool->closing)
		weir__wait(&worker->paused, &self, deadline);
}

static void give_up(struct worker *worker)
{
	struct weir_child *pool = worker->pool;
	worker->given_up = true;
	if (weir__child_is_given_up(pool))
		for (struct call *call; (call = weir__calls_pop(&pool->queue));)
			weir__call_finish(pool, call, WEIR_EDIED, NULL, 0);
	pause_until(worker, WEIR_FOREVER);
}

static bool is_shortage(int code)
{
	return code == WEIR_EAGAIN || code == WEIR_ENOMEM || code == WEIR_EMFILE || code == -ENFILE;
}

/* Starts a child again, in the end; not when the pool closes or the child cannot live. */
static void restart(struct worker *worker)
{
	struct weir_child *pool = worker->pool;
	while (!pool->closing && !worker->process.pid) {
		if (worker->barren >= BARREN_MOST) {
			give_up(worker);
			continue;
		}
		weir_nsec pause = PAUSE_FIRST << worker->barren;
		if (worker->barren)
			pause_until(worker, weir_after(pause < PAUSE_MOST ? pause : PAUSE_MOST));
		if (pool->closing)
			return;
		int code = weir__worker_start(worker);
		if (code && !(is_shortage(code) && worker->barren == BARREN_MOST - 1))
			worker->barren++;
		if (!code)
			pool->stats.restarts++;
	}
	weir__child_dispatch(pool);
}

int weir__worker_run(void *arg)
{
	struct worker *worker = arg;
	struct weir_child *pool = worker->pool;
	weir_shield_enter();
	worker->begun = true;
	while (worker->process.pid) {
		int why = serve(worker);
		worker->up = false;
		pool->stats.deaths += why == WEIR_EDIED;
		pool->stats.kills += why == WEIR_ETIMEDOUT || why == WEIR_ENOMEM;
		take_back(worker, why);
		weir__subprocess_end(&worker->process, why == WEIR_ECLOSED ? END_GRACE : 0);
		restart(worker);
	}
	weir_shield_leave();
	return 0;
}
