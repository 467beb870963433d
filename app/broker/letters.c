/* SPDX-License-Identifier: MIT */
/* Dead letters: read, replayed and forgotten on the store's thread, after those that are still to be written. */
#include "broker/durable.h"

#include <stdlib.h>

struct letter_job {
	struct broker *broker;
	const struct letter_query *query;
	struct buf *out;
	uint64_t *ret_last_id;
	struct weir_error *err;
	uint64_t n;
	struct store_chunk *chunks; /* that a replay has made: from `first` on */
	size_t first, chunk_count;
	uint64_t stored_bytes;
};

static int do_job(struct letter_job *job, weir_offload_fn fn)
{
	struct broker_request flush = {.kind = REQUEST_FLUSH};
	int code = broker_commit(job->broker, &flush, job->err);
	if (code)
		return code;
	code = broker_on_thread(job->broker, fn, job);
	if (code == WEIR_EIO || code == WEIR_EDATA)
		broker_fail(job->broker, code, job->err);
	if (!code && job->stored_bytes)
		job->broker->counts.stored_bytes = job->stored_bytes;
	return code;
}

static int read_on_thread(void *arg)
{
	struct letter_job *job = arg;
	return store_letters(job->broker->store, job->query, job->out, job->ret_last_id, job->err);
}

int broker_letters(struct broker *broker, const struct letter_query *query, struct buf *out, uint64_t *ret_last_id,
		   struct weir_error *err, weir_nsec deadline)
{
	struct weir_error own = {0};
	struct letter_job job = {
		.broker = broker, .query = query, .out = out, .ret_last_id = ret_last_id, .err = err ? err : &own};
	(void)deadline;
	return do_job(&job, read_on_thread);
}

static int replay_on_thread(void *arg)
{
	struct letter_job *job = arg;
	struct store *store = job->broker->store;
	uint64_t next = store_next_chunk(store);
	int code = store_replay(store, job->query, &job->n, job->err);
	if (!code)
		code = store_chunks(store, &job->chunks, &job->chunk_count, job->err);
	while (!code && job->first < job->chunk_count && job->chunks[job->first].id < next)
		job->first++;
	job->stored_bytes = store_bytes(store);
	return code;
}

static int take_chunks(struct letter_job *job)
{
	struct broker *broker = job->broker;
	int code = broker_backlog_reserve(broker, job->chunk_count - job->first);
	if (code) {
		weir_error_set(job->err, code, "out of memory");
		broker_fail(broker, code, job->err);
		return code;
	}
	for (size_t i = job->first; i < job->chunk_count; i++) {
		struct broker_chunk chunk = broker_chunk_of(&job->chunks[i]);
		broker_backlog_add(broker, &chunk);
	}
	broker->counts.letters -= job->n;
	return 0;
}

/* As long as one is under way the workers are not let go. */
int broker_replay(struct broker *broker, const struct letter_query *query, uint64_t *ret_n, struct weir_error *err,
		  weir_nsec deadline)
{
	struct weir_error own = {0};
	struct letter_job job = {.broker = broker, .query = query, .err = err ? err : &own};
	(void)deadline;
	if (broker->ended)
		return weir_error_set(err, WEIR_ECLOSED, "the run has come to its end");
	broker->replays++;
	int code = do_job(&job, replay_on_thread);
	if (!code)
		code = take_chunks(&job);
	free(job.chunks);
	broker->replays--;
	if (!code)
		*ret_n = job.n;
	broker_end_if_done(broker);
	return code;
}

static int purge_on_thread(void *arg)
{
	struct letter_job *job = arg;
	int code = store_purge(job->broker->store, job->query, &job->n, job->err);
	job->stored_bytes = store_bytes(job->broker->store);
	return code;
}

int broker_purge(struct broker *broker, const struct letter_query *query, uint64_t *ret_n, struct weir_error *err,
		 weir_nsec deadline)
{
	struct weir_error own = {0};
	struct letter_job job = {.broker = broker, .query = query, .err = err ? err : &own};
	(void)deadline;
	int code = do_job(&job, purge_on_thread);
	if (code)
		return code;
	broker->counts.letters -= job.n;
	*ret_n = job.n;
	broker_pulse(broker->room);
	return 0;
}
