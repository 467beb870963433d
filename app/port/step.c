/* SPDX-License-Identifier: MIT */
#include "port/step.h"

#include "data/json_writer.h"
#include "data/secret.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum step_verdict step_say(struct step_call *call, enum step_verdict verdict, const char *format, ...)
{
	va_list args;
	va_start(args, format);
	vsnprintf(call->why, sizeof call->why, format, args);
	va_end(args);
	secret_hide_text(call->why);
	return verdict;
}

/* The key of an item is its own in all runs: that of the run, and the broker's for it. */
void step_put_meta(const struct step_call *call, struct buf *out)
{
	char key[64];
	snprintf(key, sizeof key, "%.32s-%llu", call->run ? call->run : "", (unsigned long long)call->item->id);
	json_open(out, NULL, '{');
	json_put_uint(out, "attempt", call->attempt);
	json_put_uint(out, "position", call->item->position);
	json_put_text(out, "key", key);
	if (call->input->meta)
		json_put_raw(out, NULL, call->input->meta, strlen(call->input->meta));
	json_close(out, '}');
}
