/* SPDX-License-Identifier: MIT */
/*
 * An item on its way through the steps, and what is kept of it: item->record (memo.h) is the only place from which it
 * resumes, whether it waited in memory, on disk or in another process.
 */
#ifndef ENGINE_JOB_H
#define ENGINE_JOB_H

#include "engine/internal.h"

struct engine_job {
	struct item *item;
	size_t step, value; /* where it is; the values are item->outputs, and what the step made of those before it: */
	struct value_list made;
	void *leg;    /* what the step remembers of the value until it makes its next call (step_call.leg) */
	char *note;   /* what the step keeps of the value, as item->record has it; NULL: nothing */
	bool goes_on; /* from there */
	bool named;   /* the permit that it has is for the call that comes next */
	bool is_news; /* an upstream's answer is in what it has, and not in item->record */
	bool is_old;  /* the values, or what they were made of, are in item->record */
	bool forgets; /* the values come from a step that is to run again: nothing is kept of them */
};

/* Where the item's record has it, or at the first step, without what else an attempt before has left.  WEIR_ENOMEM. */
int engine_job_begin(const struct engine *engine, struct engine_job *job);

/* Keeps what it has got, with the first of what its step has made, as far as that is worth it and not too much: from
 * now on it starts there.  What was kept before is of use as long as nothing takes its place. */
bool engine_job_keep(const struct engine *engine, struct engine_job *job, size_t made);

/* The same, and stores it: what its step has begun is not begun again.  STEP_WAIT; or STEP_DEAD or STEP_RETRY, since it
 * cannot be kept. */
enum step_verdict engine_job_note(struct engine *engine, struct engine_job *job, size_t made, struct step_call *call);
void engine_job_forget_note(struct engine_job *job);

/* A step takes its input for wrong: nothing is kept that it was made of. */
void engine_job_reject(struct engine_job *job);

/* What it has beside the item. */
void engine_job_forget(struct engine_job *job);

#endif
