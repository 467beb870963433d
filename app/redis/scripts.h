/* SPDX-License-Identifier: MIT */
/*
 * The queue of a run in Redis, and the scripts that are all that changes it (scripts/, a file each).  Every key begins
 * with "weir:{NAME}:", so all are in one slot:
 *
 *     run       hash: name, plan, source, cursor and accounts of the run; its producer; the ticket that was drawn last
 *     alive     hash: worker -> a number that it counts up (fleet/watch.h).  Who is not in it does nothing any more
 *     who       hash: worker -> what it says of itself
 *     shares    hash: worker -> what it holds and needs of each limit (fleet/shares.h)
 *     wake      list: an element for a worker that waits for an item (BLPOP); what nobody waits for, up to 64
 *     graves    sorted set: the items in `letters`, by their numbers
 *     retries   sorted set: item -> when its next attempt is due
 *     waiting   hash: item -> the item, while it is in `retries`
 *     kept      hash: item -> `s`, a number, and `m`, which are to come back if its worker dies (keep.lua)
 *     letters   hash: item -> the item, as a dead letter
 *     suspect   stream: items with which two workers or more have died; a worker has one of them at a time
 *     returned  stream: items that came back
 *     fresh:0   stream: items that nobody has had yet; one for each class, 0 is the most urgent
 *
 * Each stream has the group `w`, whose consumers are the workers.  An entry's id is TICKET-ITEM: tickets are drawn one
 * after the other, so ids grow, and an id never names another item.  Its fields:
 *
 *     b   the body          m   meta data of the broker         d   how many workers died with it
 *     c   its class         t   when it was added, in ms        s   when `m` was written, in ms
 *
 * An entry is the licence to settle an item: who removes it has decided what became of the item, and counts it.  So
 * each script may be sent twice, and may come late.  What is lost is not counted but follows: `produced` less what is
 * settled and what is there.
 *
 * Answers are arrays that begin with a word: OK; RESET, the server has another run or none; FENCED, the worker was
 * taken out, or another one produces; and what each script says in its file.
 */
#ifndef REDIS_SCRIPTS_H
#define REDIS_SCRIPTS_H

#define REDIS_FORMAT "1" /* of all this; the server's must be the same */

#define REDIS_ITEMS_MOST   256        /* in a call */
#define REDIS_CLASSES_MOST 8          /* of urgency */
#define REDIS_BYTES_MOST   (4u << 20) /* of items in a call or an answer, but for the last item */

/* Each has a file, and a line in scripts/meson.build. */
#define REDIS_SCRIPT_NAMES(X)                                                                                          \
	X(ACCOUNT, account)                                                                                            \
	X(BURY, bury)                                                                                                  \
	X(DONE, done)                                                                                                  \
	X(ENQ, enq)                                                                                                    \
	X(FORGET, forget)                                                                                              \
	X(GIVE, give)                                                                                                  \
	X(KEEP, keep)                                                                                                  \
	X(KILL, kill)                                                                                                  \
	X(LETTERS, letters)                                                                                            \
	X(LOOK, look)                                                                                                  \
	X(MEET, meet)                                                                                                  \
	X(MOVE, move)                                                                                                  \
	X(PURGE, purge)                                                                                                \
	X(REAP, reap)                                                                                                  \
	X(RETRY, retry)                                                                                                \
	X(REVIVE, revive)                                                                                              \
	X(RIGHTS, rights)                                                                                              \
	X(SEAL, seal)                                                                                                  \
	X(START, start)                                                                                                \
	X(SWEEP, sweep)                                                                                                \
	X(TAKE, take)                                                                                                  \
	X(TELL, tell)

enum redis_script_name {
#define REDIS_X(name, file) REDIS_##name,
	REDIS_SCRIPT_NAMES(REDIS_X)
#undef REDIS_X
		REDIS_SCRIPTS
};

/* The text of each one, as it is sent. */
extern const char *const redis_script_texts[REDIS_SCRIPTS];

/* The keys of a queue, in the order in which the scripts have them; then one `fresh:` for each class. */
#define REDIS_KEYS                                                                                                     \
	{                                                                                                              \
		"run", "alive", "who", "shares", "wake", "graves", "retries", "waiting", "kept", "letters", "suspect", \
			"returned"                                                                                     \
	}

#endif
