/* SPDX-License-Identifier: MIT */
/* Dead letters: read, replayed and forgotten on the store's thread, after those that are still to be written. */
#include "sqlite/broker/durable.h"

#include <stdlib.h>

struct letter_job {
	struct sqlite_broker *broker;
	const struct letters_request *request;
	struct buf *out;
	struct weir_error *err;
	uint64_t n;
	struct store_chunk *chunks; /* that a replay has made: from `first` on */
	size_t first, chunk_count;
	uint64_t stored_bytes;
};

static bool puts_back(const struct letters_request *request)
{
	return request->verb == LETTERS_REPLAY || request->verb == LETTERS_MEND;
}

static int work_on_thread(void *arg)
{
	struct letter_job *job = arg;
	struct store *store = job->broker->store;
	uint64_t next = store_next_chunk(store);
	int code = store_do(store, job->request, job->out, &job->n, job->err);
	if (!code && puts_back(job->request))
		code = store_chunks(store, &job->chunks, &job->chunk_count, job->err);
	while (!code && job->first < job->chunk_count && job->chunks[job->first].id < next)
		job->first++;
	if (puts_back(job->request) || job->request->verb == LETTERS_PURGE)
		job->stored_bytes = store_bytes(store);
	return code;
}

static int work(struct letter_job *job, bool begun)
{
	struct sqlite_broker *broker = job->broker;
	struct broker_request flush = {.kind = REQUEST_FLUSH};
	int code = begun ? broker_commit(broker, &flush, job->err) : 0;
	if (code)
		return code;
	code = broker_on_thread(broker, work_on_thread, job);
	if (code == WEIR_EIO || code == WEIR_EDATA)
		broker_fail(broker, code, job->err);
	if (job->stored_bytes)
		broker->counts.stored_bytes = job->stored_bytes;
	return code;
}

static int take_chunks(const struct letter_job *job)
{
	struct sqlite_broker *broker = job->broker;
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
	broker->counts.accounts.dead -= job->n;
	return 0;
}

/* As long as a replay is under way the workers are not let go.  Letters may be purged although the file could not be
 * written again: then there is a failure, and n is set.  Before a run begins there are only letters, and what is
 * replayed is found when it does. */
int broker_letters(struct broker *handle, const struct letters_request *request, struct buf *out, uint64_t *ret_n,
		   struct weir_error *err, weir_nsec deadline)
{
	struct sqlite_broker *broker = (struct sqlite_broker *)handle;
	struct weir_error own = {0};
	struct letter_job job = {.broker = broker, .request = request, .out = out, .err = err ? err : &own};
	bool begun = weir_group_alive(broker->fibers), back = puts_back(request);
	(void)deadline;
	if (back && broker->ended)
		return weir_error_set(job.err, WEIR_ECLOSED, "the run has ended");
	broker->replays += back;
	int code = work(&job, begun);
	if (!code && back && begun)
		code = take_chunks(&job);
	free(job.chunks);
	broker->replays -= back;
	if (request->verb == LETTERS_PURGE) {
		broker->counts.letters -= begun ? job.n : 0;
		broker_pulse(broker->room);
	}
	if (!code)
		*ret_n = job.n;
	broker_end_if_done(broker);
	return code;
}
