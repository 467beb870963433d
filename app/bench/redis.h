/* SPDX-License-Identifier: MIT */
/* A Redis server of a run's own, behind a Unix socket, that keeps what it has on disk (appendfsync everysec). */
#ifndef BENCH_REDIS_H
#define BENCH_REDIS_H

#include <sys/types.h>
#include <weir/base.h>

struct bench_redis {
	pid_t pid; /* 0: none runs */
	char url[144];
};

/* With its files in a new folder in `folder`.  Children of this process find it by REDIS_URL.  Blocks for a moment; it
 * ends with this process.  WEIR_EIO with err->text: it is not installed, or does not start. */
int bench_redis_start(struct bench_redis *redis, const char *folder, unsigned place, struct weir_error *err);
void bench_redis_stop(struct bench_redis *redis); /* its files are left */

#endif
