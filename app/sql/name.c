/* SPDX-License-Identifier: MIT */
#include "sql/name.h"

#include <string.h>

#define LETTERS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_"
#define DIGITS  "0123456789"

int sql_name_check(const char *what, const char *name, struct weir_error *err)
{
	size_t n = strlen(name);
	if (n > 0 && n <= SQL_NAME_BYTES_MAX && strspn(name, LETTERS DIGITS) == n && strspn(name, DIGITS) == 0)
		return 0;
	return weir_error_set(err, WEIR_EINVAL,
			      "'%.80s' cannot be the name of a %s; expected a letter or '_', then letters, digits and "
			      "'_', 63 at most",
			      name, what);
}

void sql_put_name(struct buf *out, const char *name)
{
	buf_add_char(out, '"');
	for (const char *c = name; *c; c++) {
		if (*c == '"')
			buf_add_char(out, '"');
		buf_add_char(out, *c);
	}
	buf_add_char(out, '"');
}
