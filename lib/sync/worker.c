/* SPDX-License-Identifier: MIT */
/*
 * The life of one child: started, served, ended, started again.
 *
 * The worker sends in one go what was gathered since its last turn.  Answers belong to the lines under way in order, so
 * when the child is too slow, the first of them is the culprit; when it dies, the first is the suspect if any byte of
 * it was sent.  The others go back to the head of the queue.  The next child of this worker gets the suspect alone, and
 * nothing else until that is answered: if it dies as well, the suspect is the culprit.
 *
 * A child that dies without a suspect is started again after a pause that doubles; after BARREN_MOST such deaths
 * without an answer or a long life in between it is given up.  A child that was given a line cannot die for ever: two
 * deaths cost one line.
 */
#include "sync/worker.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <weir/backoff.h>

enum { READ_BYTES = 32 * 1024, BARREN_MOST = 5 };

#define PAUSE_MOST  WEIR_SEC
#define END_GRACE   WEIR_SEC
#define DEATH_GRACE (WEIR_SEC / 10) /* from the end of its output to that of the child: then it says how it ended */

static const struct weir_backoff backoff = {20 * WEIR_MSEC, PAUSE_MOST, WEIR_JITTER_NONE};

/* Traffic with a child */

/* What the child works on is done; the next line is its turn. */
static void pop_first(struct child_worker *worker)
{
	const struct child_call *call = weir__calls_pop(&worker->under_way);
	worker->lines--;
	worker->bytes -= call->n + 1;
}

/* Takes the number off an answer: false if it is another one. */
static bool take_number(const struct child_call *call, const char **text, size_t *n)
{
	char room[WEIR__NUMBER_MOST];
	const char *number = weir__write_number(room, call->number);
	size_t len = (size_t)(room + WEIR__NUMBER_MOST - number);
	if (*n < len || memcmp(*text, number, len) != 0)
		return false;
	*text += len;
	*n -= len;
	return true;
}

/* The n bytes are the answer to the first line under way: false if there is none, or they cannot be. */
static bool answer_first(struct child_worker *worker, const char *text, size_t n)
{
	const struct weir_child_options *opts = &worker->pool->options;
	struct child_call *call = TAILQ_FIRST(&worker->under_way);
	if (!call || n > opts->answer_bytes || ((opts->flags & WEIR_CHILD_NUMBERED) && !take_number(call, &text, &n)) ||
	    (opts->check && !call->abandoned && !opts->check(opts->arg, text, n)))
		return false;
	pop_first(worker);
	worker->alone = false;
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

/* Gives out the whole lines in `in`: their number, or WEIR_EDATA when the child broke the rules. */
static int take_answers(struct child_worker *worker)
{
	struct child_bytes *in = &worker->in;
	char *newline;
	int answers = 0;
	while ((newline = memchr(in->data + worker->scanned, '\n', in->len - worker->scanned))) {
		size_t end = (size_t)(newline - in->data);
		if (!answer_first(worker, in->data + in->from, end - in->from))
			return WEIR_EDATA;
		answers++;
		worker->scanned = in->from = end + 1;
	}
	if (in->from == in->len)
		weir__bytes_empty(in);
	worker->scanned = in->len;
	if (answers)
		weir__worker_set_limit(worker);
	return in->len - in->from > worker->pool->options.answer_bytes + WEIR__NUMBER_MOST ? WEIR_EDATA : answers;
}

/* Reads what there is: the number of answers in it, WEIR_EDIED at the end of file and the like, WEIR_EDATA, or
 * WEIR_ENOMEM. */
static int receive(struct child_worker *worker)
{
	struct child_bytes *in = &worker->in;
	int answers = 0;
	for (;;) {
		size_t unread = worker->scanned - in->from;
		if (weir__bytes_reserve(in, READ_BYTES))
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
static int transmit(struct child_worker *worker)
{
	struct child_bytes *out = &worker->out;
	while (out->from < out->len) {
		ssize_t n = send(worker->process.fd, out->data + out->from, out->len - out->from, MSG_NOSIGNAL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : WEIR_EDIED;
		out->from += (size_t)n;
		worker->sent += (size_t)n;
	}
	weir__bytes_empty(out);
	return 0;
}

/* Carries lines and answers until the child ends or must: WEIR_EDIED, WEIR_EDATA when it broke the rules,
 * WEIR_ETIMEDOUT, WEIR_ENOMEM for its answers, or WEIR_ECLOSED with the pool. */
static int serve(struct child_worker *worker)
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

int weir__worker_start(struct child_worker *worker)
{
	const struct weir_child_options *opts = &worker->pool->options;
	int code = weir__bytes_reserve(&worker->out, opts->preamble_bytes);
	if (!code)
		code = weir__subprocess_start(opts, -1, &worker->process);
	if (code)
		return code;
	worker->started = weir_now();
	worker->limit_at = WEIR_FOREVER;
	worker->put = worker->sent = worker->numbered = 0;
	if (opts->preamble)
		weir__worker_put(worker, opts->preamble, opts->preamble_bytes);
	worker->up = worker->fresh = worker->awake = true;
	return 0;
}

/* The first line under way when a child ended: it is kept for the next child, or its call ends. */
static void judge_first(struct child_worker *worker, struct child_call *first, int why, struct weir__end end)
{
	bool died = why == WEIR_EDIED || why == WEIR_EDATA;
	if (died && !first->suspected && (why == WEIR_EDATA || end.signal != SIGABRT)) {
		first->suspected = true;
		worker->suspect = first;
		return;
	}
	first->end = why == WEIR_EDIED ? end : (struct weir__end){.exit_code = -1};
	weir__call_finish(worker->pool, first, died ? WEIR_EDIED : why, NULL, 0);
}

/* Hands the lines of a child that is no more to others, or back to the queue, but for the one it ended of. */
static void take_back(struct child_worker *worker, int why, struct weir__end end)
{
	struct weir_child *pool = worker->pool;
	const struct child_call *first = TAILQ_FIRST(&worker->under_way);
	if (first && (why == WEIR_ETIMEDOUT || first->begins < worker->sent))
		judge_first(worker, weir__calls_pop(&worker->under_way), why, end);
	else if (weir_now() - worker->started > PAUSE_MOST)
		worker->barren = 1;
	else
		worker->barren++;
	for (struct child_call *before, *call = TAILQ_LAST(&worker->under_way, child_calls); call; call = before) {
		before = TAILQ_PREV(call, child_calls, others);
		weir__calls_remove(call);
		if (call->abandoned) {
			free(call);
		} else {
			call->list = &pool->queue;
			TAILQ_INSERT_HEAD(&pool->queue, call, others);
		}
	}
	worker->lines = 0;
	worker->bytes = 0;
	worker->alone = false;
	weir__bytes_empty(&worker->out);
	weir__bytes_empty(&worker->in);
	worker->scanned = 0;
	weir__child_dispatch(pool);
}

static void pause_until(struct child_worker *worker, weir_nsec deadline)
{
	struct weir__waiter self = {.what = "child restart"};
	if (!worker->pool->closing)
		weir__wait(&worker->paused, &self, deadline);
}

/* There is no child for it. */
static void drop_suspect(struct child_worker *worker)
{
	struct child_call *suspect = worker->suspect;
	worker->suspect = NULL;
	if (!suspect)
		return;
	suspect->suspected = false;
	weir__call_finish(worker->pool, suspect, WEIR_EDIED, NULL, 0);
}

static void give_up(struct child_worker *worker)
{
	struct weir_child *pool = worker->pool;
	worker->given_up = true;
	drop_suspect(worker);
	if (weir__child_is_given_up(pool))
		for (struct child_call *call; (call = weir__calls_pop(&pool->queue));)
			weir__call_finish(pool, call, WEIR_EDIED, NULL, 0);
	pause_until(worker, WEIR_FOREVER);
}

static bool is_shortage(int code)
{
	return code == WEIR_EAGAIN || code == WEIR_ENOMEM || code == WEIR_EMFILE || code == -ENFILE;
}

/* Before any other line. */
static void assign_suspect(struct child_worker *worker)
{
	struct child_call *suspect = worker->suspect;
	worker->suspect = NULL;
	if (suspect && suspect->abandoned)
		free(suspect);
	else if (suspect)
		weir__worker_assign(worker, suspect);
}

/* Starts a child again, in the end; not when the pool closes or the child cannot live. */
static void restart(struct child_worker *worker)
{
	struct weir_child *pool = worker->pool;
	while (!pool->closing && !worker->process.pid) {
		if (worker->barren >= BARREN_MOST) {
			give_up(worker);
			continue;
		}
		if (worker->barren)
			pause_until(worker, weir_after(weir_backoff_wait(&backoff, worker->barren, 0, NULL)));
		if (pool->closing)
			return;
		int code = weir__worker_start(worker);
		if (code && !(is_shortage(code) && worker->barren == BARREN_MOST - 1))
			worker->barren++;
		if (!code) {
			pool->stats.restarts++;
			assign_suspect(worker);
		}
	}
	weir__child_dispatch(pool);
}

static weir_nsec grace_for(int why)
{
	return why == WEIR_ECLOSED ? END_GRACE : why == WEIR_EDIED ? DEATH_GRACE : 0;
}

int weir__worker_run(void *arg)
{
	struct child_worker *worker = arg;
	struct weir_child *pool = worker->pool;
	weir_shield_enter();
	worker->begun = true;
	while (worker->process.pid) {
		int why = serve(worker);
		worker->up = false;
		pool->stats.deaths += why == WEIR_EDIED || why == WEIR_EDATA;
		pool->stats.kills += why == WEIR_ETIMEDOUT || why == WEIR_ENOMEM;
		struct weir__end end = weir__subprocess_end(&worker->process, grace_for(why));
		take_back(worker, why, end);
		restart(worker);
	}
	drop_suspect(worker);
	weir_shield_leave();
	return 0;
}
