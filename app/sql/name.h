/* SPDX-License-Identifier: MIT */
/* Names in SQL. */
#ifndef SQL_NAME_H
#define SQL_NAME_H

#include "data/buf.h"

#include <weir/base.h>

#define SQL_NAME_BYTES_MAX ((size_t)63)

/* Of the config: letters, digits and '_'.  WEIR_EINVAL with err->text; what: "table". */
int sql_name_check(const char *what, const char *name, struct weir_error *err);

void sql_put_name(struct buf *out, const char *name); /* quoted */

#endif
