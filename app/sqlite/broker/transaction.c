/* SPDX-License-Identifier: MIT */
/* The side of the committer that runs on the store's thread: makes one batch of all that has come. */
#include "data/array.h"
#include "sqlite/broker/durable.h"

static int make_rooms(struct broker_committer *self)
{
	size_t puts = 0, acks = 0;
	for (const struct broker_request *at = STAILQ_FIRST(&self->writing); at; at = STAILQ_NEXT(at, others)) {
		puts += at->kind == REQUEST_PUT ? broker_chunks_of(at) : 0;
		acks += at->kind == REQUEST_ACK ? at->n : 0;
	}
	int code = array_reserve(&self->puts, &self->put_room, puts, sizeof *self->puts);
	return code ? code : array_reserve(&self->acks, &self->ack_room, acks, sizeof *self->acks);
}

static void add_put(struct sqlite_broker *broker, struct broker_request *put, struct store_batch *batch)
{
	put->chunk = store_next_chunk(broker->store) + batch->put_count;
	for (size_t i = 0; i < put->n; i++)
		put->items[i]->id = put->chunk * STORE_CHUNK_ITEMS + i;
	for (size_t at = 0; at < put->n; at += STORE_CHUNK_ITEMS)
		broker->committer.puts[batch->put_count++] =
			(struct store_put){.chunk = put->chunk + at / STORE_CHUNK_ITEMS,
					   .items = put->items + at,
					   .n = broker_chunk_items(put, at)};
	batch->cursor = put->cursor;
}

static void add_acks(struct sqlite_broker *broker, const struct broker_request *ack, struct store_batch *batch)
{
	for (size_t i = 0; i < ack->n; i++)
		broker->committer.acks[batch->ack_count++] =
			(struct store_ack){.id = ack->items[i]->id, .fate = ack->items[i]->fate};
	if (ack->position)
		batch->positions[ack->outlet] = ack->position;
}

static int write_parts(struct broker_job *job, unsigned parts)
{
	struct sqlite_broker *broker = job->broker;
	struct broker_committer *self = &broker->committer;
	struct store_batch batch = {.puts = self->puts, .acks = self->acks, .retries = self->rows};
	for (struct broker_request *at = STAILQ_FIRST(&self->writing); at; at = STAILQ_NEXT(at, others)) {
		if (at->kind == REQUEST_PUT && (parts & PART_PUTS))
			add_put(broker, at, &batch);
		else if (at->kind == REQUEST_ACK && (parts & PART_ACKS))
			add_acks(broker, at, &batch);
		else if (at->kind == REQUEST_SEAL && (parts & PART_PUTS))
			batch.seal = true;
	}
	if (parts & PART_REST) {
		batch.retry_count = self->retries_writing.n;
		batch.dead = self->dead_writing.items;
		batch.dead_count = self->dead_writing.n;
	}
	if (!batch.put_count && !batch.ack_count && !batch.retry_count && !batch.dead_count && !batch.seal &&
	    !batch.positions[OUTLET_SINK] && !batch.positions[OUTLET_DEAD])
		return 0;
	return store_commit(broker->store, &batch, &job->err);
}

/* The first one checks the pages of a state that no run has closed: the first calls do not wait for that. */
int broker_write_on_thread(void *arg)
{
	struct broker_job *job = arg;
	int code = make_rooms(&job->broker->committer);
	if (code)
		return weir_error_set(&job->err, code, "out of memory");
	if ((code = store_check(job->broker->store, &job->err)))
		return code;
	job->puts = job->rest = job->acks = write_parts(job, PART_PUTS | PART_REST | PART_ACKS);
	if (broker_may_work_later(job->rest) && (job->has & PART_PUTS) && (job->has & (PART_REST | PART_ACKS)))
		job->rest = job->acks = write_parts(job, PART_REST | PART_ACKS);
	if (broker_may_work_later(job->acks) && (job->has & PART_REST) && (job->has & PART_ACKS))
		job->acks = write_parts(job, PART_ACKS);
	job->stored_bytes = store_bytes(job->broker->store);
	return 0;
}
