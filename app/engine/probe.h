/* SPDX-License-Identifier: MIT */
/*
 * What a run of a plan would find, without a run: each part is opened as for a run, tried, and closed.  Nothing is
 * written, nothing sent that changes anything, and pipes and devices are left alone.
 */
#ifndef ENGINE_PROBE_H
#define ENGINE_PROBE_H

#include "port/journal.h"
#include "port/step.h"

struct plan;

/* What an earlier run has left. */
struct probe_past {
	struct broker_past past;
	bool fresh;      /* a run would begin, and not resume */
	bool is_unknown; /* it cannot be told, as when a run is at work: sinks are not opened */
};

/* What became of one part. */
struct probe_result {
	const char *part; /* "source", "step 2", "sink", "dead letters" */
	const char *adapter;
	const char *text; /* a sentence without a final stop */
	int exit_code;    /* 0; or that of a run that finds it so */
};

/* Asks the broker; folder: the state folder, held by the caller; NULL: there is none.  Appends what it says, for
 * people.  0, and *ret_past is to be given to probe_past_fini(); or the exit code with err.  On a fiber; suspends. */
int probe_broker(const struct plan *plan, const char *folder, struct probe_past *ret_past, struct buf *out,
		 struct weir_error *err);
void probe_past_fini(struct probe_past *past);

/* Probes all parts at the same time, each for at most 6 s, then calls tell() once for each, in the order of the file.
 * On a fiber; suspends.  WEIR_ENOMEM, WEIR_ECANCELED. */
int probe_parts(const struct plan *plan, const struct step_env *env, const struct probe_past *past,
		void (*tell)(void *arg, const struct probe_result *result), void *arg);

#endif
