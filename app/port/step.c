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

void step_put_key(const struct step_call *call, struct buf *out)
{
	const struct item *item = call->item;
	if (item->key)
		buf_add_str(out, item->key);
	else
		buf_addf(out, "%.32s-%llu", call->run ? call->run : "", (unsigned long long)item_number(item));
	if (call->value)
		buf_addf(out, ".%zu", call->value + 1);
}

void step_put_meta(const struct step_call *call, struct buf *out)
{
	struct buf key = {0};
	step_put_key(call, &key);
	json_open(out, NULL, '{');
	json_put_uint(out, "attempt", call->attempt);
	json_put_uint(out, "position", call->item->position);
	json_put_bytes(out, "key", key.data, key.len);
	if (call->input->meta)
		json_put_raw(out, NULL, call->input->meta, strlen(call->input->meta));
	json_close(out, '}');
	out->failed = out->failed || key.failed;
	buf_fini(&key);
}
