/* SPDX-License-Identifier: MIT */
/* Error codes and their texts, errors with a place. */
#include <weir/base.h>

#include <limits.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *weir_strerror(int code)
{
	static _Thread_local char text[96];
	switch (code) {
	case 0:
		return "success";
#define WEIR_X(name, value, words)                                                                                     \
	case WEIR_##name:                                                                                              \
		return words;
		WEIR_ERRORS(WEIR_X)
#undef WEIR_X
	default:
		return strerror_r(code < 0 && code > INT_MIN ? -code : code, text, sizeof text);
	}
}

const char *weir_errname(int code)
{
	switch (code) {
#define WEIR_X(name, value, words)                                                                                     \
	case WEIR_##name:                                                                                              \
		return "WEIR_" #name;
		WEIR_ERRORS(WEIR_X)
#undef WEIR_X
	default:
		return "?";
	}
}

int weir_error_set(struct weir_error *err, int code, const char *format, ...)
{
	if (!err)
		return code;
	va_list args;
	va_start(args, format);
	vsnprintf(err->text, sizeof err->text, format, args);
	va_end(args);
	for (char *c = err->text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = '?';
	err->code = code;
	return code;
}
