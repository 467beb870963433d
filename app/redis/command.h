/* SPDX-License-Identifier: MIT */
/* Commands for a Redis server, in the form in which they are sent, and the names of scripts.  Pure. */
#ifndef REDIS_COMMAND_H
#define REDIS_COMMAND_H

#include "data/buf.h"

#include <stdint.h>

/* A command that is being written.  All zero is an empty one; out of memory is remembered (words.failed). */
struct redis_command {
	struct buf words;
	size_t n;
};

void redis_add(struct redis_command *command, const void *bytes, size_t n);
void redis_add_text(struct redis_command *command, const char *text);
void redis_add_number(struct redis_command *command, int64_t number);
void redis_command_clear(struct redis_command *command); /* keeps the memory */
void redis_command_fini(struct redis_command *command);

/* A Lua script.  Make one with redis_script_init(); it may be used with several connections. */
struct redis_script {
	const char *text; /* borrowed */
	char sha[41];
};

void redis_script_init(struct redis_script *script, const char *text);

#endif
