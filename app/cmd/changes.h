/* SPDX-License-Identifier: MIT */
/* What `weir set` says: "concurrency=200 rate=500/s paused=true", between the verb and the run. */
#ifndef CMD_CHANGES_H
#define CMD_CHANGES_H

#include "engine/engine.h"

/* WEIR_EINVAL with err->text, which says what can be set, or what a value may be.  Pure. */
int changes_parse(const char *words, struct engine_changes *ret_changes, struct weir_error *err);

#endif
