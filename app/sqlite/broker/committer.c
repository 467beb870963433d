/* SPDX-License-Identifier: MIT */
/*
 * Group commit: one fiber collects what is to be written into one transaction on the store's thread; while that runs,
 * the next collects.
 *
 *     put, ack, seal, flush    a request on the stack of a fiber that waits: written at once
 *     retry, dead letter       nobody waits: written with the next, after COMMIT_PERIOD, or when there are many
 *
 * A retry is a pointer to its item until the commit begins; then its state is copied for the thread, because the item
 * may be leased and come back meanwhile.  Postponed again before that, it is still one row: both lists are bounded by
 * the window.
 *
 * No room: the puts are refused and the rest is tried without them; then the acks alone, which make room.  Who waits is
 * told and asks again; retries and dead letters stay, and are tried again after a pause.
 */
#include "sqlite/broker/durable.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define COMMIT_ITEMS  256
#define COMMIT_PERIOD (5 * WEIR_MSEC)

static const struct weir_backoff backoff = {10 * WEIR_MSEC, WEIR_SEC, WEIR_JITTER_NONE};

static int make_items(struct broker_items *list, size_t capacity)
{
	list->items = calloc(capacity, sizeof(struct item *));
	return list->items ? 0 : WEIR_ENOMEM;
}

int broker_committer_open(struct sqlite_broker *broker)
{
	struct broker_committer *self = &broker->committer;
	size_t capacity = broker->most_capacity;
	STAILQ_INIT(&self->requests);
	STAILQ_INIT(&self->writing);
	int code = weir_event_new(&self->work);
	if (!code)
		code = weir_event_new(&self->settled);
	if (!code)
		code = make_items(&self->retries, capacity);
	if (!code)
		code = make_items(&self->dead, capacity);
	if (!code)
		code = make_items(&self->retries_writing, capacity);
	if (!code)
		code = make_items(&self->dead_writing, capacity);
	self->rows = calloc(capacity, sizeof *self->rows);
	return self->rows ? code : WEIR_ENOMEM;
}

/* Dead letters that could not be written are in the store as unfinished items. */
void broker_committer_free(struct sqlite_broker *broker)
{
	struct broker_committer *self = &broker->committer;
	for (size_t i = 0; i < self->dead.n; i++)
		item_free(self->dead.items[i]);
	for (size_t i = 0; self->rows && i < broker->most_capacity; i++)
		value_fini(&self->rows[i].record);
	free(self->retries.items);
	free(self->dead.items);
	free(self->retries_writing.items);
	free(self->dead_writing.items);
	free(self->rows);
	free(self->puts);
	free(self->acks);
	weir_event_free(self->work);
	weir_event_free(self->settled);
}

/* --- handing over --- */

int broker_commit(struct sqlite_broker *broker, struct broker_request *request, struct weir_error *err)
{
	struct broker_committer *self = &broker->committer;
	STAILQ_INSERT_TAIL(&self->requests, request, others);
	weir_event_set(self->work);
	weir_shield_enter();
	while (!request->done)
		weir_event_wait(self->settled, WEIR_FOREVER);
	weir_shield_leave();
	if (request->code)
		weir_error_set(err, request->code, "%s", request->err.text);
	return request->code;
}

/* After one more of retries and dead: wakes the committer only when that changes the time of the next commit. */
static void note_pending(struct broker_committer *self)
{
	size_t n = self->retries.n + self->dead.n;
	if (n == 1)
		self->since = weir_now();
	if (n == 1 || n == COMMIT_ITEMS)
		weir_event_set(self->work);
}

static void add_retry(struct broker_committer *self, struct item *item)
{
	if (item->pending)
		return;
	self->retries.items[self->retries.n++] = item;
	item->pending = self->retries.n;
}

static void remove_retry(struct broker_committer *self, struct item *item)
{
	if (!item->pending)
		return;
	struct item *last = self->retries.items[--self->retries.n];
	self->retries.items[item->pending - 1] = last;
	last->pending = item->pending;
	item->pending = 0;
}

void broker_commit_retry(struct sqlite_broker *broker, struct item *item)
{
	add_retry(&broker->committer, item);
	note_pending(&broker->committer);
}

void broker_commit_dead(struct sqlite_broker *broker, struct item *item)
{
	struct broker_committer *self = &broker->committer;
	broker->held_bytes += item->evidence.len;
	broker->evidence_bytes += item->evidence.len;
	self->dead.items[self->dead.n++] = item;
	note_pending(self);
}

/* --- a commit --- */

static void swap(struct broker_items *a, struct broker_items *b)
{
	struct broker_items was = *a;
	*a = *b;
	*b = was;
}

/* What turns a time of weir_now()'s clock into wall time. */
static int64_t wall_offset(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * WEIR_SEC + now.tv_nsec - weir_now();
}

static int copy_records(struct broker_committer *self)
{
	int code = 0;
	for (size_t i = 0; i < self->retries.n && !code; i++) {
		const struct value *record = &self->retries.items[i]->record;
		value_fini(&self->rows[i].record); /* of the commit that had this row */
		if (record->data)
			code = value_copy(&self->rows[i].record, record->data, record->len);
	}
	return code;
}

static void begin_retries(struct broker_committer *self)
{
	int64_t offset = self->retries.n ? wall_offset() : 0;
	for (size_t i = 0; i < self->retries.n; i++) {
		struct item *item = self->retries.items[i];
		self->rows[i] = (struct store_retry){.id = item->id,
						     .attempts = item->attempts,
						     .due_unix_ns = offset + item->due,
						     .ages = item_ages_of(item),
						     .record = self->rows[i].record};
		snprintf(self->rows[i].why, sizeof self->rows[i].why, "%s", item_why(item));
		item->pending = 0;
		item->retried = true;
	}
	swap(&self->retries, &self->retries_writing);
}

/* Moves all that is there to the side of the thread.  A failure: only the requests, to be refused. */
static int begin(struct sqlite_broker *broker, struct broker_job *job)
{
	struct broker_committer *self = &broker->committer;
	job->has = self->retries.n || self->dead.n ? PART_REST : 0;
	size_t chunks = 0;
	for (const struct broker_request *at = STAILQ_FIRST(&self->requests); at; at = STAILQ_NEXT(at, others)) {
		chunks += at->kind == REQUEST_PUT ? broker_chunks_of(at) : 0;
		job->has |= at->kind == REQUEST_ACK ? PART_ACKS : at->kind == REQUEST_FLUSH ? 0 : PART_PUTS;
	}
	STAILQ_CONCAT(&self->writing, &self->requests);
	job->err = broker->failed;
	if (broker->failed.code)
		return broker->failed.code;
	int code = copy_records(self);
	if (!code)
		code = broker_backlog_reserve(broker, chunks);
	if (code)
		return weir_error_set(&job->err, code, "out of memory");
	broker->backlog.reserved += chunks;
	job->begun = true;
	begin_retries(self);
	swap(&self->dead, &self->dead_writing);
	return 0;
}

static void keep_rest(struct broker_committer *self)
{
	for (size_t i = 0; i < self->retries_writing.n; i++)
		add_retry(self, self->retries_writing.items[i]);
	for (size_t i = 0; i < self->dead.n; i++)
		self->dead_writing.items[self->dead_writing.n++] = self->dead.items[i];
	self->dead.n = 0;
	swap(&self->dead, &self->dead_writing);
}

static void finish_rest(struct sqlite_broker *broker, int code)
{
	struct broker_committer *self = &broker->committer;
	if (code)
		keep_rest(self);
	for (size_t i = 0; i < self->dead_writing.n; i++) {
		broker->evidence_bytes -= self->dead_writing.items[i]->evidence.len;
		broker_window_drop(broker, self->dead_writing.items[i]);
	}
	self->retries_writing.n = self->dead_writing.n = 0;
}

/* Acks that went through alone leave no retry behind. */
static void finish_ack(struct sqlite_broker *broker, const struct broker_request *ack)
{
	for (size_t i = 0; i < ack->n; i++) {
		broker_count(&broker->counts.accounts, ack->items[i]->fate, 1);
		remove_retry(&broker->committer, ack->items[i]);
		broker_window_drop(broker, ack->items[i]);
	}
	broker_line_forget(&broker->line, ack->n);
}

static void answer(struct sqlite_broker *broker, struct broker_request *request, const struct broker_job *job)
{
	int code = request->kind == REQUEST_ACK ? job->acks : request->kind == REQUEST_FLUSH ? job->rest : job->puts;
	if (code)
		weir_error_set(&request->err, code, "%s", job->err.text);
	if (code && request->kind == REQUEST_PUT)
		broker->backlog.reserved -= job->begun ? broker_chunks_of(request) : 0;
	else if (!code && request->kind == REQUEST_ACK)
		finish_ack(broker, request);
	else if (!code && request->kind == REQUEST_SEAL)
		broker->sealed = true;
	request->code = code;
	request->done = true;
}

static void note_outcome(struct sqlite_broker *broker, const struct broker_job *job)
{
	struct broker_committer *self = &broker->committer;
	const int codes[] = {job->puts, job->rest, job->acks};
	bool no_room = false, full = false;
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		if (codes[i] && !broker_may_work_later(codes[i]))
			broker_fail(broker, codes[i], &job->err);
		no_room = no_room || codes[i];
		full = full || codes[i] == WEIR_ENOSPC;
	}
	self->refused = no_room ? self->refused + 1 : 0;
	self->not_before = no_room ? weir_now() + weir_backoff_wait(&backoff, self->refused, 0, NULL) : 0;
	broker->counts.degraded = full;
	broker->counts.stored_bytes = job->stored_bytes ? job->stored_bytes : broker->counts.stored_bytes;
}

/* Those who put are first to run: they place their items before anybody else looks. */
static void finish(struct sqlite_broker *broker, const struct broker_job *job)
{
	struct broker_committer *self = &broker->committer;
	finish_rest(broker, job->rest);
	for (struct broker_request *at; (at = STAILQ_FIRST(&self->writing));) {
		STAILQ_REMOVE_HEAD(&self->writing, others);
		answer(broker, at, job);
	}
	note_outcome(broker, job);
	broker_pulse(self->settled);
	broker_pulse(broker->room);
	weir_event_set(broker->hungry);
	broker_end_if_done(broker);
}

static void commit(struct sqlite_broker *broker)
{
	struct broker_job job = {.broker = broker};
	int code = begin(broker, &job);
	if (!code)
		code = broker_on_thread(broker, broker_write_on_thread, &job);
	if (code)
		job.puts = job.rest = job.acks = code;
	finish(broker, &job);
}

/* When the next commit is due; INT64_MAX: nothing is to be written. */
static weir_nsec next_commit(const struct sqlite_broker *broker)
{
	const struct broker_committer *self = &broker->committer;
	size_t pending = self->retries.n + self->dead.n;
	if (!STAILQ_EMPTY(&self->requests))
		return 0;
	if (!pending || broker->failed.code)
		return INT64_MAX;
	weir_nsec at = pending < COMMIT_ITEMS ? self->since + COMMIT_PERIOD : 0;
	return at > self->not_before ? at : self->not_before;
}

int broker_committer_run(void *arg)
{
	struct sqlite_broker *broker = arg;
	for (;;) {
		weir_event_clear(broker->committer.work);
		weir_nsec at = next_commit(broker);
		if (at <= weir_now())
			commit(broker);
		else if (weir_event_wait(broker->committer.work, at == INT64_MAX ? WEIR_FOREVER : at) == WEIR_ECANCELED)
			return 0;
	}
}
