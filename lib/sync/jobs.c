/* SPDX-License-Identifier: MIT */
/* The records of jobs, their ordering keys, and their order. */
#include "sync/process.h"

#include <stdlib.h>
#include <string.h>

enum { CHUNK_JOBS = 32 };

struct job_chunk {
	SLIST_ENTRY(job_chunk) others;
	_Alignas(16) char jobs[];
};

/* ---- records */

static struct job *job_at(const struct job_records *records, struct job_chunk *chunk, size_t i)
{
	return (struct job *)(void *)(chunk->jobs + i * records->bytes);
}

int weir__records_more(struct job_records *records)
{
	struct job_chunk *chunk = calloc(1, sizeof *chunk + CHUNK_JOBS * records->bytes);
	if (!chunk)
		return WEIR_ENOMEM;
	SLIST_INSERT_HEAD(&records->chunks, chunk, others);
	records->made += CHUNK_JOBS;
	for (size_t i = CHUNK_JOBS; i-- > 0;)
		weir__records_give(records, job_at(records, chunk, i));
	return 0;
}

struct job *weir__records_take(struct job_records *records)
{
	struct job *job = SLIST_FIRST(&records->spare);
	SLIST_REMOVE_HEAD(&records->spare, spare);
	memset(job, 0, sizeof *job);
	return job;
}

void weir__records_give(struct job_records *records, struct job *job)
{
	job->where = JOB_FREE;
	SLIST_INSERT_HEAD(&records->spare, job, spare);
}

void weir__records_each(const struct job_records *records, void (*fn)(struct run *run, struct job *job),
			struct run *run)
{
	struct job_chunk *chunk;
	SLIST_FOREACH(chunk, &records->chunks, others)
	for (size_t i = 0; i < CHUNK_JOBS; i++)
		if (job_at(records, chunk, i)->where != JOB_FREE)
			fn(run, job_at(records, chunk, i));
}

void weir__records_fini(struct job_records *records)
{
	for (struct job_chunk *chunk; (chunk = SLIST_FIRST(&records->chunks));) {
		SLIST_REMOVE_HEAD(&records->chunks, others);
		free(chunk);
	}
}

/* ---- ordering keys */

int weir__ordering_keys_more(struct ordering_keys *keys)
{
	if (!keys->spare && !weir_table_reserve(&keys->table))
		keys->spare = calloc(1, sizeof *keys->spare);
	return keys->spare ? 0 : WEIR_ENOMEM;
}

bool weir__ordering_keys_enter(struct ordering_keys *keys, struct job *job, uint64_t id)
{
	uint64_t hash = weir_hash_number(id);
	struct weir_table_node *node = weir_table_find(&keys->table, hash);
	while (node && ((struct ordering_key *)node)->id != id)
		node = weir_table_again(node);
	struct ordering_key *key = (struct ordering_key *)node;
	bool is_first = !key;
	if (is_first) {
		key = keys->spare;
		keys->spare = NULL;
		*key = (struct ordering_key){.id = id};
		TAILQ_INIT(&key->behind);
		weir_table_add(&keys->table, &key->node, hash);
	} else {
		job->where = JOB_BEHIND;
		TAILQ_INSERT_TAIL(&key->behind, job, others);
	}
	job->ordering_key = key;
	return is_first;
}

struct job *weir__ordering_keys_leave(struct ordering_keys *keys, struct job *job)
{
	struct ordering_key *key = job->ordering_key;
	struct job *next = TAILQ_FIRST(&key->behind);
	job->ordering_key = NULL;
	if (next) {
		TAILQ_REMOVE(&key->behind, next, others);
		return next;
	}
	weir_table_remove(&keys->table, &key->node);
	if (keys->spare)
		free(key);
	else
		keys->spare = key;
	return NULL;
}

void weir__ordering_keys_fini(struct ordering_keys *keys)
{
	for (struct weir_table_node *node = weir_table_next(&keys->table, NULL), *next; node; node = next) {
		next = weir_table_next(&keys->table, node);
		free(node);
	}
	free(keys->spare);
	weir_table_fini(&keys->table);
}

/* ---- in order */

int weir__ring_more(struct ring *ring)
{
	if (ring->next_seq - ring->done_seq < ring->size)
		return 0;
	size_t size = ring->size ? ring->size * 2 : 64;
	struct job **jobs = calloc(size, sizeof(struct job *));
	if (!jobs)
		return WEIR_ENOMEM;
	for (uint64_t seq = ring->done_seq; seq != ring->next_seq; seq++)
		jobs[seq & (size - 1)] = ring->jobs[seq & (ring->size - 1)];
	free(ring->jobs);
	ring->jobs = jobs;
	ring->size = size;
	return 0;
}

void weir__ring_add(struct ring *ring, struct job *job)
{
	ring->jobs[ring->next_seq++ & (ring->size - 1)] = job;
}

struct job *weir__ring_first(const struct ring *ring)
{
	return ring->done_seq == ring->next_seq ? NULL : ring->jobs[ring->done_seq & (ring->size - 1)];
}
