/* SPDX-License-Identifier: MIT */
/* fsync() and fdatasync() of this process, those of SQLite included: counted, and failing on demand. */
#ifndef UNIT_SYNCS_H
#define UNIT_SYNCS_H

#include <stdbool.h>

unsigned syncs_seen(void);
void syncs_fail(bool fail); /* from now on, with EIO */

#endif
