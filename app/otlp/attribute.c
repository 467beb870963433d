/* SPDX-License-Identifier: MIT */
#include "otlp/encode.h"

#include "data/json_writer.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

void otlp_begin(struct buf *out, const struct otlp_frame *frame, const char *resource)
{
	json_open(out, NULL, '{');
	json_open(out, frame->outer, '[');
	json_open(out, NULL, '{');
	json_put_raw(out, "resource", resource, strlen(resource));
	json_open(out, frame->inner, '[');
	json_open(out, NULL, '{');
	json_open(out, "scope", '{');
	json_put_text(out, "name", "weir");
	json_put_text(out, "version", WEIR_VERSION);
	json_close(out, '}');
	json_open(out, frame->list, '[');
}

void otlp_end(struct buf *out)
{
	buf_add_str(out, "]}]}]}");
}

static void begin_attribute(struct buf *out, const char *key)
{
	json_open(out, NULL, '{');
	json_put_text(out, "key", key);
	json_open(out, "value", '{');
}

static void end_attribute(struct buf *out)
{
	buf_add_str(out, "}}");
}

void otlp_put_attribute(struct buf *out, const char *key, const char *text)
{
	begin_attribute(out, key);
	json_put_text(out, "stringValue", text);
	end_attribute(out);
}

void otlp_put_attribute_int(struct buf *out, const char *key, int64_t number)
{
	char digits[24];
	snprintf(digits, sizeof digits, "%" PRId64, number);
	begin_attribute(out, key);
	json_put_text(out, "intValue", digits);
	end_attribute(out);
}

void otlp_put_number(struct buf *out, const char *name, uint64_t number)
{
	char digits[24];
	snprintf(digits, sizeof digits, "%" PRIu64, number);
	json_put_text(out, name, digits);
}
