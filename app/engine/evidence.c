/* SPDX-License-Identifier: MIT */
/* Where an item has failed; what happened there is the step's to say (port/evidence.h). */
#include "engine/parts.h"

#include "data/json_writer.h"
#include "port/trace.h"

#include <string.h>

void engine_set_evidence(const struct tracer *tracer, struct item *item, const char *where, const char *kind,
			 const struct buf *pairs)
{
	struct buf out = {0};
	value_fini(&item->evidence);
	json_open(&out, NULL, '{');
	json_put_raw(&out, "step", where, strlen(where));
	json_put_text(&out, "kind", kind);
	if (pairs && !pairs->failed)
		json_put_raw(&out, NULL, pairs->data, pairs->len);
	if (tracer) {
		struct buf id = {0};
		tracer_add_id(tracer, item, &id);
		json_put_bytes(&out, "trace_id", id.data, id.len);
		buf_fini(&id);
	}
	json_close(&out, '}');
	item->evidence.data = buf_take(&out, &item->evidence.len);
}

void engine_set_row_evidence(const struct tracer *tracer, struct item *item, const char *kind)
{
	struct buf rows = {0}, pairs = {0};
	for (size_t i = 0; i < item->outputs.n && rows.len < EVIDENCE_TEXT_BYTES; i++) {
		if (i)
			buf_add_char(&rows, '\n');
		buf_add(&rows, item->outputs.values[i].data, item->outputs.values[i].len);
	}
	if (!rows.failed && rows.len)
		evidence_add_text(&pairs, "row", rows.data, rows.len);
	engine_set_evidence(tracer, item, "\"sink\"", kind, &pairs);
	buf_fini(&rows);
	buf_fini(&pairs);
}
