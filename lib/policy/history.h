/* SPDX-License-Identifier: MIT */
/* What a gate has seen that tells a bad job from an upstream in trouble (struct weir_history, weir/gate.h).  Pure. */
#ifndef POLICY_HISTORY_H
#define POLICY_HISTORY_H

#include <weir/gate.h>

/* A server's "come back later" is believed up to here. */
#define WEIR__WORD_MOST (24 * 3600 * WEIR_SEC)

struct weir__witness {
	uint64_t calls; /* that were let in */
	uint64_t good;  /* the latest of them that was good */
	uint64_t crowd; /* times that a job was turned away of which it is not known that it alone is throttled */
};

/* Whether the job had ended like this here before, badly; and whether that says nothing about the upstream any more:
 * calls that began after the first time were good. */
bool weir__history_is_again(const struct weir_history *history, enum weir_outcome outcome);
bool weir__history_is_suspect(const struct weir_history *history, enum weir_outcome outcome,
			      const struct weir__witness *witness);

/* A call of the job has failed, or was denied. */
void weir__history_ended(struct weir_history *history, enum weir_outcome outcome, const struct weir__witness *witness);

/* One was throttled, to come back after that time (0: not stated). */
void weir__history_refused(struct weir_history *history, struct weir__witness *witness, weir_nsec hint, weir_nsec now);

/* Whether the job is throttled for itself, not as one of many: that says nothing about the upstream's limits. */
bool weir__history_is_throttled_alone(const struct weir_history *history);

/* The job came, and found the gate shut. */
void weir__history_knock(struct weir_history *history, struct weir__witness *witness);

#endif
