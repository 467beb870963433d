/* SPDX-License-Identifier: MIT */
/* An output as an entry of a stream.  Pure. */
#ifndef REDIS_SINK_ROW_H
#define REDIS_SINK_ROW_H

#include "data/value.h"
#include "port/key.h"
#include "redis/command.h"

struct redis_row_config {
	char *field;               /* the output as a whole, as JSON, is this field; NULL: */
	struct key_strings fields; /* these of its fields; none: all of them */
};

/* Appends names and values.  WEIR_EDATA with why: it cannot be an entry; WEIR_ENOMEM. */
int redis_row_put(const struct redis_row_config *config, const struct value *output, struct redis_command *words,
		  char why[200]);

/* The same as a JSON object of texts. */
int redis_row_show(const struct redis_row_config *config, const struct value *output, struct buf *out, char why[200]);

#endif
