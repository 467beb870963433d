/* SPDX-License-Identifier: MIT */
/*
 * What happens to a call that changes a disk, or makes a change last: it is counted, or is the last one of this
 * process, or goes into a log, or fails.  interpose.c turns the C library's calls into these; disk.c decides.  What is
 * written to a server changes the server's disk, so it may stand here instead.
 *
 * The environment says what, once, when the process starts:
 *
 *   CRASH_FOLDER   only what lies below this folder (absolute, without links) counts; never descriptors 0 to 2
 *   CRASH_PORT     instead: only what is written to connections to this TCP port counts, each call as a write
 *   CRASH_COMM     only a process of this name; its children go on undisturbed
 *   CRASH_MODE     count    only count
 *                  kill     SIGKILL itself before call CRASH_AT (from 1)
 *                  half     the same, but half of the bytes of that call, a write, still go out
 *                  after    the same, but that call is still made
 *                  record   append each call, with its bytes, to CRASH_LOG
 *                  eio      sync CRASH_AT fails with EIO; CRASH_FOR of them do (1; 0: all from there on)
 *                  enospc   of write CRASH_AT only half goes out, CRASH_FOR writes after it fail with ENOSPC
 *   CRASH_ONLY     only files whose path below the folder contains this
 *   CRASH_DROP     1: a sync that fails takes back what was written to the file since its last sync, as the kernel
 *                  may do once it has said EIO
 *   CRASH_LOG      count, kill, half, after, eio, enospc: a line of text for each call, or for the one that it hits
 *
 * A log of `record` is a row of these, in the order in which the calls had their effect:
 *
 *   u32 op, u32 path bytes, u64 inode, i64 offset, u64 data bytes, path, data        (of this machine's byte order)
 *
 * The path is below the folder; of a rename or a link the old and the new one, with a NUL between them.
 */
#ifndef CRASH_DISK_H
#define CRASH_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

enum disk_op {
	DISK_WRITE = 1, /* offset, data */
	DISK_TRUNCATE,  /* offset: the new size */
	DISK_SYNC,      /* a file */
	DISK_SYNC_DIR,  /* a folder: its names */
	DISK_CREATE,    /* an empty file; path */
	DISK_UNLINK,    /* path */
	DISK_RENAME,    /* path, to */
	DISK_MKDIR,     /* path */
	DISK_RMDIR,     /* path */
	DISK_LINK,      /* path, to */
	DISK_SYNC_ALL,  /* sync, syncfs */
	DISK_OPS
};

/* A call before it is made. */
struct disk_call {
	enum disk_op op;
	int fd; /* -1: path tells */
	const char *path, *to;
	const void *data;
	size_t n;
	off_t offset;                               /* of a write at a position, or the size of a truncate */
	bool positioned;                            /* a write with its own offset */
	long (*make)(const struct disk_call *call); /* as a system call: -1 and errno when it fails */
	long arg[5];                                /* for make */
};

/* Whether this process is one whose calls count. */
bool disk_watches(void);

/* Makes the call, or what the mode makes of it: as the call itself would answer. */
long disk_do(struct disk_call *call);

/* The absolute path of what dirfd and path name; false if it does not fit. */
bool disk_path(int dirfd, const char *path, char *text, size_t room);

#endif
