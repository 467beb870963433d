/* SPDX-License-Identifier: MIT */
/*
 * Names of workers that tell which process they are: host, boot, process namespace, pid, when it started, and something
 * random.  So a process of this machine that is gone is known to be gone, and nobody has to wait for a lease (watch.h).
 * Only this is concluded from a name; whether a process that is there does anything shows in its number.
 */
#ifndef FLEET_NAME_H
#define FLEET_NAME_H

#include <weir/base.h>

#define FLEET_NAME_BYTES 160 /* with its NUL */

/* Where pids mean something. */
struct fleet_host {
	char name[64];      /* for people: letters, digits, "." and "-" */
	char boot[40];      /* another one after each start of the machine */
	uint64_t namespace; /* of processes: a container has its own */
};

/* This one.  What the system says if /proc is not there. */
int fleet_host_here(struct fleet_host *ret_host);

/* A name for this process, another one each time; without blanks.  What the system says if /proc is not there. */
int fleet_name_make(const struct fleet_host *here, char ret_name[FLEET_NAME_BYTES]);

/* Whether the name, or one that was made of it by adding to its end, is that of a process that was on this host since
 * it was started, and is no more.  false: it is there, or nobody knows. */
bool fleet_name_is_gone(const struct fleet_host *here, const char *name);

#endif
