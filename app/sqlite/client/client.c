/* SPDX-License-Identifier: MIT */
#include "sqlite/client/client.h"

#include "data/buf.h"

#include <sqlite3.h>

int sqlite_client_code(sqlite3 *handle, int rc)
{
	int system = sqlite3_system_errno(handle);
	switch (rc & 0xFF) {
	case SQLITE_OK:
		return 0;
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
		return WEIR_EDATA;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return WEIR_EBUSY;
	case SQLITE_FULL:
		return WEIR_ENOSPC;
	case SQLITE_NOMEM:
		return WEIR_ENOMEM;
	case SQLITE_IOERR:
		return rc == SQLITE_IOERR_NOMEM ? WEIR_ENOMEM : system == EDQUOT ? WEIR_ENOSPC : WEIR_EIO;
	default:
		return WEIR_EIO;
	}
}

static int fail(sqlite3 *handle, const char *path, int rc, struct weir_error *err)
{
	int system = rc == SQLITE_CANTOPEN && handle ? sqlite3_system_errno(handle) : 0;
	int code = system ? -system : sqlite_client_code(handle, rc);
	weir_error_set(err, code, "%s: %s", path, rc == SQLITE_CANTOPEN ? sqlite3_errmsg(handle) : sqlite3_errstr(rc));
	sqlite3_close(handle);
	return code;
}

int sqlite_client_open(const char *path, int flags, int wait_ms, sqlite3 **ret_handle, struct weir_error *err)
{
	struct buf name = {0};
	sqlite3 *handle = NULL;
	if (path && *path != '/')
		buf_add_str(&name, "./");
	buf_add_str(&name, path ? path : ":memory:");
	flags |= SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_PRIVATECACHE;
	int rc = name.failed ? SQLITE_NOMEM : sqlite3_open_v2(name.data, &handle, flags, NULL);
	buf_fini(&name);
	if (rc)
		return fail(handle, path, rc, err);
	sqlite3_extended_result_codes(handle, 1);
	sqlite3_busy_timeout(handle, wait_ms);
	*ret_handle = handle;
	return 0;
}
