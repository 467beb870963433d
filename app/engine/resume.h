/* SPDX-License-Identifier: MIT */
/*
 * What is to be done about an earlier run of the pipeline.  Pure: no I/O, nothing suspends.
 *
 *     nothing known      begin
 *     same plan          resume; of a run that is done, for what its source may have got since
 *     other plan         refused; WISH_ADOPT: resume  (spec/meaning.h says which are the same)
 *     all have failed    begin, if failures are rows in the sink: no dead letters are left to be tried again
 *     WISH_FRESH         begin; refused while there are unfinished items or dead letters; WISH_DISCARD: begin
 *
 * Whether source and sinks are still the same ones is their own matter (resume() in port/source.h, open() in
 * port/sink.h).
 */
#ifndef ENGINE_RESUME_H
#define ENGINE_RESUME_H

#include "engine/engine.h"

/* Whether a run is done in which all have failed. */
bool resume_is_barren(const struct broker_past *past);

/* has_rows: failures are rows in the sink.  0; or WEIR_EINVAL with err->text that says what has changed, or would be
 * lost, and what can be done; WEIR_EDATA when the plan of the earlier run cannot be read; WEIR_ENOMEM.  Then *ret_exit
 * is the exit code. */
int resume_decide(const struct broker_past *past, const char *meaning, enum engine_wish wish, bool has_rows,
		  bool *ret_begin, int *ret_exit, struct weir_error *err);

#endif
