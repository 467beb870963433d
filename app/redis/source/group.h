/* SPDX-License-Identifier: MIT */
/*
 * A consumer of a group that reads a stream of Redis, and what it has in hand: a page of entries, which are pending
 * with it in Redis until they are acknowledged.
 *
 * Each call suspends until the server has answered, or the connection is lost.  One that fails has err->text.
 * WEIR_EAGAIN: the connection broke or the server has no time, try again; what was asked for may have been done.
 * WEIR_EINVAL: the group, the stream or the rights are not as they must be.
 */
#ifndef REDIS_SOURCE_GROUP_H
#define REDIS_SOURCE_GROUP_H

#include "redis/client.h"

struct redis_group_config {
	char *stream, *name;
	int64_t batch;        /* most entries in a page */
	weir_nsec claim_idle; /* who has not acknowledged an entry for so long is taken for dead */
};

/* An entry; its strings are the page's. */
struct redis_entry {
	const char *id;
	const redisReply *fields; /* as redis_entry_read() takes them */
	bool gone;                /* it was pending and not in the stream, and is not pending any more */
	bool lost;                /* another consumer has claimed it meanwhile */
};

struct redis_group {
	const struct redis_group_config *config; /* borrowed; this and the next two are set by who uses it */
	struct redis *redis;
	char consumer[128];

	/* Of the group, by redis_group_look(). */
	bool exists;
	bool removed;      /* the stream is gone, too */
	char given[48];    /* the id that it has given to a consumer last */
	int64_t unsettled; /* entries that are pending, or that nobody has had; -1: not known */

	/* The page.  Nobody else has anything between its first and its last entry. */
	redisReply *reply;
	struct redis_entry *entries;
	size_t n, room;
	uint64_t trimmed; /* entries before it that were removed before anybody had them */
	bool more;        /* there are more pending with this consumer behind it */
	uint64_t pages;   /* so far */
	weir_nsec kept;   /* when its entries were last known to be ours */

	size_t ask;          /* entries of the next page: fewer where they are large */
	char claim_from[48]; /* claiming goes on there; "0-0": at the beginning */
};

void redis_group_fini(struct redis_group *group); /* but for the connection */

/* Looks whether stream and group are there. */
int redis_group_look(struct redis_group *group, struct weir_error *err);

/* Makes the group, which gets what is behind the id; and the stream.  One that is there is fine. */
int redis_group_make(struct redis_group *group, const char *behind, struct weir_error *err);

/* Each of these reads a page, of no entries if there are none. */
int redis_group_read_own(struct redis_group *group, const char *after, struct weir_error *err);
int redis_group_read_fresh(struct redis_group *group, struct weir_error *err);
int redis_group_look_on(struct redis_group *group, const char *after, struct weir_error *err);

/* Takes over what is pending with those who seem dead; *ret_over: all was looked through. */
int redis_group_claim(struct redis_group *group, bool *ret_over, struct weir_error *err);

/* Waits for a fresh entry, for so long; a page of one, or none. */
int redis_group_wait(struct redis_group *group, weir_nsec time, struct weir_error *err);

void redis_group_drop(struct redis_group *group); /* the page */

/* Acknowledges n entries of the page, from `first` on, but for those that are lost. */
int redis_group_acknowledge(struct redis_group *group, size_t first, size_t n, struct weir_error *err);

/* So that nobody takes this consumer for dead: touches the entries of the page from `first` on, and finds those that
 * another one has claimed all the same. */
int redis_group_keep(struct redis_group *group, size_t first, struct weir_error *err);

/* How many entries are pending, with any consumer. */
int redis_group_pending(struct redis_group *group, int64_t *ret_n, struct weir_error *err);

/* Removes the consumer if nothing is pending with it. */
void redis_group_leave(struct redis_group *group);

/* Whether the first id is at most the second one: "MS-SEQ". */
bool redis_id_at_most(const char *a, const char *b);

#endif
