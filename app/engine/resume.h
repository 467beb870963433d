/* SPDX-License-Identifier: MIT */
/*
 * What is to be done about an earlier run of the pipeline.  Pure: no I/O, nothing suspends.
 *
 *     nothing known            begin
 *     unfinished, same plan    go on
 *     unfinished, other plan   refused; WISH_ADOPT: go on
 *     done, same plan          nothing to do
 *     done, other plan         refused: it is not this pipeline that is done
 *     WISH_FRESH               begin; refused while there are unfinished items or dead letters; WISH_DISCARD: begin
 *
 * Whether the source is still the same one is the source's own matter (resume() in port/source.h).
 */
#ifndef ENGINE_RESUME_H
#define ENGINE_RESUME_H

#include "engine/engine.h"

enum resume { RESUME_BEGIN, RESUME_GO_ON, RESUME_NOTHING };

/* 0; or WEIR_EINVAL with err->text that says what has changed, or would be lost, and what can be done; then *ret_exit
 * is the exit code. */
int resume_decide(const struct broker_past *past, const char *meaning, enum engine_wish wish, enum resume *ret_resume,
		  int *ret_exit, struct weir_error *err);

#endif
