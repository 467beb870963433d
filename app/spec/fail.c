/* SPDX-License-Identifier: MIT */
/* The one way in which all of this folder fails or warns: a place and a sentence. */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "spec/spec.h"

void spec_error(struct spec_load *load, int line, int column, const char *format, ...)
{
	char text[sizeof load->err->text];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	load->err->line = line;
	load->err->column = column;
	weir_error_set(load->err, WEIR_EINVAL, "%s", text);
}

void spec_warn(struct spec_load *load, int line, int column, const char *format, ...)
{
	char text[sizeof load->err->text];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	buf_addf(&load->warnings, "%s:%d:%d: warning: %s\n", load->label, line, column, text);
}

int spec_fail_text(struct spec_load *load, int line, int column, struct buf *text)
{
	int code = text->failed ? spec_fail_memory(load) : spec_fail(load, line, column, "%s", text->data);
	buf_fini(text);
	return code;
}

int spec_fail_in(struct spec_load *load, const struct spec_node *node, size_t at, const char *text)
{
	size_t begin = node->offset + (node->plain ? 0 : 1), len = strlen(node->text);
	bool verbatim = at <= len && begin < load->n && len <= load->n - begin &&
			memcmp(load->text + begin, node->text, len) == 0 && !memchr(node->text, '\n', len);
	int shift = verbatim ? (int)(at + begin - node->offset) : 0;
	return spec_fail(load, node->line, node->column + shift, "%s", text);
}
