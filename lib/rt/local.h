/* SPDX-License-Identifier: MIT */
/* The tables of fiber-local values, as fibers hold them.  Private to lib/rt. */
#ifndef RT_LOCAL_H
#define RT_LOCAL_H

#include <weir/local.h>

/* NULL is fine for both, and comes back as NULL. */
struct weir_locals *weir__locals_ref(struct weir_locals *locals);
void weir__locals_unref(struct weir_locals *locals);

#endif
