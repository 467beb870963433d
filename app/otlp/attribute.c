/* SPDX-License-Identifier: MIT */
#include "otlp/encode.h"

#include "data/json_writer.h"
#include "data/utf8.h"

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
	json_put_bytes(out, "stringValue", text, utf8_cut(text, strlen(text), OTLP_TEXT_BYTES));
	end_attribute(out);
}

/* A number as a text.  A span has six of them; by printf() they took a quarter of its time. */
static void put_digits(struct buf *out, const char *name, uint64_t number, bool is_negative)
{
	json_put_raw(out, name, "\"-", is_negative ? 2 : 1);
	buf_add_uint(out, number);
	buf_add_char(out, '"');
}

void otlp_put_attribute_int(struct buf *out, const char *key, int64_t number)
{
	begin_attribute(out, key);
	put_digits(out, "intValue", number < 0 ? 0 - (uint64_t)number : (uint64_t)number, number < 0);
	end_attribute(out);
}

void otlp_put_attribute_id(struct buf *out, const char *key, uint64_t number)
{
	begin_attribute(out, key);
	put_digits(out, "stringValue", number, false);
	end_attribute(out);
}

void otlp_put_number(struct buf *out, const char *name, uint64_t number)
{
	put_digits(out, name, number, false);
}
