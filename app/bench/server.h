/* SPDX-License-Identifier: MIT */
/* A PostgreSQL server with the settings that it has after installation, on a free port of 127.0.0.1. */
#ifndef BENCH_SERVER_H
#define BENCH_SERVER_H

#include <sys/types.h>
#include <weir/base.h>

struct bench_server {
	pid_t pid;
	char url[96];      /* of the database "weir", without its password */
	char password[40]; /* of its owner "weir" and of the superuser "postgres"; nobody else may come in */
};

/* Makes it in the folder, which other users may pass through from now on, and starts it: as "nobody" if this is root,
 * whom it refuses.  Blocks, for a second or two.  It ends with this process.  WEIR_EIO with err->text: it is not
 * installed, or does not start. */
int bench_server_start(struct bench_server *server, const char *folder, struct weir_error *err);

/* Ends its connections, and blocks until it is gone.  Its files are left. */
void bench_server_stop(struct bench_server *server);

#endif
