/* SPDX-License-Identifier: MIT */
/*
 * The files below SQLite.  They hold what items hold, so only their owner may read them; and SQLite follows a symbolic
 * link wherever it leads, so what is not a regular file is refused before it sees it.
 */
#include "sqlite/store/internal.h"

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* -1: there is none. */
static int64_t check_regular(const struct store *store, const char *suffix, struct weir_error *err, int *ret_code)
{
	char *name = sqlite3_mprintf("%s%s", store->path, suffix);
	struct stat st;
	bool found = name && !lstat(name, &st);
	sqlite3_free(name);
	if (!found)
		return -1;
	if (!S_ISREG(st.st_mode))
		*ret_code = weir_error_set(err, WEIR_EDATA, "%s%s is %s; weir writes only to a regular file: remove it",
					   store->path, suffix,
					   S_ISLNK(st.st_mode) ? "a symbolic link" : "no regular file");
	return st.st_size;
}

/* The file may have been copied here with other rights; what cannot be changed is left. */
static int own(const struct store *store, int flags, struct weir_error *err)
{
	struct stat st;
	int fd = open(store->path, flags | O_RDWR | O_NOFOLLOW | O_CLOEXEC, 0600);
	if (fd < 0)
		return weir_error_set(err, -errno, "cannot open %s: %s", store->path, strerror(errno));
	if (!fstat(fd, &st) && (st.st_mode & 077))
		fchmod(fd, 0600);
	close(fd);
	return 0;
}

/* An empty file counts as none; one that was emptied beside its WAL does not. */
int file_prepare(struct store *store, unsigned flags, struct weir_error *err)
{
	int code = 0;
	int64_t bytes = check_regular(store, "", err, &code), wal = check_regular(store, "-wal", err, &code);
	bool make = (flags & STORE_CREATE) && !store->readonly;
	if (code)
		return code;
	if (bytes <= 0 && wal > 0)
		return sql_damaged(store, err, "it is %s, but its log exists", bytes < 0 ? "gone" : "empty");
	if (bytes <= 0 && !make)
		return weir_error_set(err, WEIR_ENOENT, "there is no %s", store->path);
	return store->readonly ? 0 : own(store, bytes < 0 ? O_CREAT : 0, err);
}

int file_open_for_looking(struct store *store)
{
	struct stat st;
	char *wal = sqlite3_mprintf("%s-wal", store->path);
	bool has_wal = wal && !stat(wal, &st) && st.st_size > 0;
	sqlite3_free(wal);
	if (has_wal)
		return sqlite3_open_v2(store->path, &store->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX,
				       "unix-none");
	struct buf uri = {0};
	buf_add_str(&uri, "file:");
	for (const char *c = store->path; *c; c++)
		if (strchr("?#%", *c))
			buf_addf(&uri, "%%%02X", (unsigned char)*c);
		else
			buf_add_char(&uri, *c);
	buf_add_str(&uri, "?immutable=1");
	int rc = uri.failed ? SQLITE_NOMEM
			    : sqlite3_open_v2(uri.data, &store->db,
					      SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_URI, NULL);
	buf_fini(&uri);
	return rc;
}
