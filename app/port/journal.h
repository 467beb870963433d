/* SPDX-License-Identifier: MIT */
/*
 * The journal of a run, which its broker keeps: where its source stands, where its sinks stand, its accounts, its dead
 * letters.  Cursor and positions change together with the queue (put, ack).  Between open() and begin() nothing is
 * handed out and nothing taken: recall() says what is known of an earlier run, begin() begins one or joins it.  Who
 * only looks, or has to do with dead letters, need not begin.
 */
#ifndef PORT_JOURNAL_H
#define PORT_JOURNAL_H

#include "data/buf.h"
#include "port/queue.h"

/* What is known of an earlier run.  Strings end with a NUL and may be empty. */
struct broker_past {
	bool begun;          /* there was one */
	bool sealed;         /* its source was read to the end */
	bool done;           /* sealed, and nothing is unfinished */
	bool clean;          /* its last process ended in order: all that it wrote was acked */
	char run[33];        /* its name: 32 hexadecimal digits */
	struct value plan;   /* as given to begin() */
	struct value source; /* as given to begin() */
	struct value file;   /* as given to begin(); empty: not known */
	struct source_cursor cursor;
	struct value positions[OUTLETS]; /* as given to begin() or ack() last, of a run that was forgotten, too */
	struct broker_accounts accounts;
	uint64_t unfinished, letters;
};

void broker_past_fini(struct broker_past *past);

struct broker_start {
	const char *was;    /* the run that recall() told of; empty: none */
	const char *run;    /* 32 hexadecimal digits: a new name, or that of the run that resumes */
	const char *plan;   /* its meaning, for recall() */
	const char *source; /* the source's identity, for recall(); empty: it cannot be read again; NULL: this process
			     * has none, it stays as it is */
	const char *file;   /* the name of the pipeline's file, for recall() */
	const struct value *positions[OUTLETS]; /* NULL: none */
	const uint64_t *written[OUTLETS];       /* ids of items that are in the sink already: as if acked now, as
						 succeeded (OUTLET_DEAD: dead); those that are settled are passed over */
	size_t n[OUTLETS];
	bool adopt; /* --adopt: ids that are yet to come are passed over, too; else WEIR_EINVAL, the state is older than
		     * its sink */
};

/* Which dead letters.  All zero: all. */
struct letter_query {
	const char *reason; /* those whose reason contains it; NULL: any */
	uint32_t group;     /* those of this cause (cause.h); 0: any */
	uint64_t id;        /* this one; 0: any */
	uint64_t after;     /* only later ones; for going through them page by page */
	size_t limit;       /* 0: no limit */
};

/* A letter whose item is to be another one. */
struct letter_mend {
	uint64_t id;
	struct value item; /* JSON; borrowed */
	bool done;         /* set: it was a letter, and is replayed */
};

/* What is done to dead letters. */
enum letters_verb {
	LETTERS_LIST,   /* appends them as JSON lines (port/letter.h), oldest first */
	LETTERS_REPLAY, /* puts them back among the ready, with their history and number (item_number()) */
	LETTERS_PURGE,  /* forgets them, so that nothing of them is left on the disk */
	LETTERS_GROUPS, /* appends a JSON line for each group (port/cause.h), the largest first, and one about all */
	LETTERS_MEND,   /* replays letters with other items, which get another number, and passes over those that are
			 * none any more */
};

#define LETTERS_MEND_MAX ((size_t)256)

struct letters_request {
	enum letters_verb verb;
	struct letter_query query; /* of the first three */
	struct letter_mend *mends; /* at most LETTERS_MEND_MAX */
	size_t mend_count;
};

/* For audit(): the accounts, and how many items there are that are not settled. */
int broker_check_accounts(const struct broker_accounts *accounts, uint64_t held, struct weir_error *err);

struct journal_ops {
	/* After begin(): what it has made of that. */
	int (*recall)(struct broker *broker, struct broker_past *ret_past, struct weir_error *err, weir_nsec deadline);

	/* Before begin(), of a broker that is durable: forgets the earlier run `was`, and stores that before it
	 * returns.  A new run does this before it empties its sinks: the old state must not vouch for rows that are
	 * gone.  Who is at work on that run finds its leases lost.  BROKER_MOVED: it is another run that is there. */
	int (*forget)(struct broker *broker, const char *was, struct weir_error *err, weir_nsec deadline);

	/* Begins a run, or joins the one that is there, in one step, and stores that before it returns.  BROKER_MOVED:
	 * what recall() told is not so any more, and nothing was changed.  WEIR_EAGAIN: another process reads
	 * the source; likewise. */
	int (*begin)(struct broker *broker, const struct broker_start *start, struct weir_error *err,
		     weir_nsec deadline);

	/* Whether the accounts and what is there agree: WEIR_EDATA with err, which has both, if they do not. */
	int (*audit)(struct broker *broker, struct weir_error *err, weir_nsec deadline);

	/* A sink may hold what was not acked: close() will not say that the run has ended in order (broker_past.clean).
	 * Does not suspend.  NULL: nothing outlives the process. */
	void (*leave_unclean)(struct broker *broker);

	/* Of a broker that has bury(); else NULL.  *ret_n: how many, and of LETTERS_LIST the id of the last one, or
	 * query.after. */
	int (*letters)(struct broker *broker, const struct letters_request *request, struct buf *out, uint64_t *ret_n,
		       struct weir_error *err, weir_nsec deadline);
};

#endif
