/* SPDX-License-Identifier: MIT */
/*
 * A file system below SQLite whose writes and syncs can be made to fail.  Syncs do not reach the disk, which makes
 * tests fast; what they would have saved is kept beside each file, as FILE.durable: what a power cut leaves at the
 * worst.
 */
#ifndef UNIT_FAULTY_VFS_H
#define UNIT_FAULTY_VFS_H

#include <stdbool.h>

enum faulty_call { FAULTY_WRITE, FAULTY_SYNC };

struct faulty_plan {
	enum faulty_call call;
	int nth;    /* of these calls from now on, from 1; 0: none */
	int rc;     /* what it gives; a write has done half its work then */
	int system; /* errno */
};

/* Becomes SQLite's default in this process. */
void faulty_install(void);

void faulty_arm(const struct faulty_plan *plan);
bool faulty_fired(void); /* since the arming */

#endif
