/* SPDX-License-Identifier: MIT */
#include "redis/scripts.h"

#define X(name, file) extern const char redis_queue_##file[];
REDIS_SCRIPT_NAMES(X)
#undef X

#define X(name, file) [REDIS_##name] = redis_queue_##file,
const char *const redis_script_texts[REDIS_SCRIPTS] = {REDIS_SCRIPT_NAMES(X)};
