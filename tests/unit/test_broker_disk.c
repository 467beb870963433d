/* SPDX-License-Identifier: MIT */
/* The durable broker on a disk that is full, broken, or fails for a year. */
#include "unit/brokers.h"

#include <malloc.h>
#include <sqlite3.h>

/* The files of SQLite's own VFS, some of whose calls fail when told to. */
static struct disk {
	sqlite3_vfs vfs, *real;
	struct {
		const sqlite3_io_methods *real;
		sqlite3_io_methods methods;
	} kinds[4]; /* of files: with locks and without */
	int (*write)(sqlite3_file *, const void *, int, sqlite3_int64);
	int (*sync)(sqlite3_file *, int);
	/* told */
	sqlite3_int64 most;      /* no file becomes longer; 0: any length */
	bool full, broken, lazy; /* lazy: a sync does nothing */
	/* seen */
	unsigned syncs;
} disk;

static int disk_write(sqlite3_file *file, const void *bytes, int n, sqlite3_int64 at)
{
	if (disk.full || (disk.most && at + n > disk.most))
		return SQLITE_FULL;
	return disk.write(file, bytes, n, at);
}

static int disk_sync(sqlite3_file *file, int flags)
{
	if (disk.broken)
		return SQLITE_IOERR_FSYNC;
	disk.syncs++;
	return disk.lazy ? SQLITE_OK : disk.sync(file, flags);
}

static int disk_open(sqlite3_vfs *vfs, sqlite3_filename name, sqlite3_file *file, int flags, int *ret_flags)
{
	(void)vfs;
	int code = disk.real->xOpen(disk.real, name, file, flags, ret_flags);
	if (code != SQLITE_OK)
		return code;
	size_t kind = 0;
	while (disk.kinds[kind].real && disk.kinds[kind].real != file->pMethods)
		kind++;
	disk.write = file->pMethods->xWrite;
	disk.sync = file->pMethods->xSync;
	disk.kinds[kind].real = file->pMethods;
	disk.kinds[kind].methods = *file->pMethods;
	disk.kinds[kind].methods.xWrite = disk_write;
	disk.kinds[kind].methods.xSync = disk_sync;
	file->pMethods = &disk.kinds[kind].methods;
	return SQLITE_OK;
}

static void use_disk(void)
{
	disk.full = disk.broken = disk.lazy = false;
	disk.most = 0;
	if (disk.real)
		return;
	disk.real = sqlite3_vfs_find(NULL);
	disk.vfs = *disk.real;
	disk.vfs.pNext = NULL;
	disk.vfs.zName = "disk";
	disk.vfs.xOpen = disk_open;
	ck_assert_int_eq(sqlite3_vfs_register(&disk.vfs, 1), SQLITE_OK);
}

static bool degraded(const struct broker *broker)
{
	struct broker_counts counts;
	ops->queue.counts(broker, &counts);
	return counts.degraded;
}

FIBER_TEST(broker_sqlite_full_disk_pauses_and_goes_on)
{
	const char *folder = new_folder();
	struct item *items[10];
	struct weir_error own;
	use_disk();
	struct broker *broker = open_broker(folder, &roomy);
	ck_zero(put_range(broker, 1, 10, 10, WEIR_TRY));
	ck_assert_int_eq(ops->queue.lease(broker, items, 10, &err, WEIR_TRY), 10);
	disk.full = true;
	ck_assert_int_eq(put_range(broker, 11, 12, 10, WEIR_FOREVER), WEIR_ENOSPC);
	ck_assert_int_eq(ops->queue.ack(broker, items, 2, OUTLET_SINK, NULL, &own, WEIR_FOREVER), WEIR_ENOSPC);
	ck_assert(degraded(broker));
	/* The same items fail again and again: one row each, whatever the disk says. */
	for (int i = 0; i < 1000; i++) {
		items[3]->attempts++;
		ops->queue.nack(broker, items[3], 0, &err, WEIR_FOREVER);
		ck_assert_int_eq(ops->queue.lease(broker, &items[3], 1, &err, WEIR_FOREVER), 1);
		weir_sleep(WEIR_MSEC);
	}
	items[4]->attempts = 3;
	ops->queue.nack(broker, items[4], 3600 * WEIR_SEC, &err, WEIR_FOREVER);
	item_set_why(items[5], "it is dead");
	ops->queue.bury(broker, items[5], &err, WEIR_FOREVER);
	weir_sleep(60 * WEIR_SEC);
	ck_assert(degraded(broker));
	disk.full = false;
	weir_sleep(2 * WEIR_SEC);
	ck_assert(!degraded(broker));
	ck_zero(ops->queue.ack(broker, items, 3, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	ck_zero(put_range(broker, 11, 12, 10, WEIR_FOREVER));
	for (int i = 6; i < 10; i++)
		ops->queue.nack(broker, items[i], WEIR_SEC, &err, WEIR_FOREVER);
	ops->queue.nack(broker, items[3], WEIR_SEC, &err, WEIR_FOREVER);
	ck_zero(ops->close(broker, &err));
	broker = open_broker(folder, &roomy);
	ck_assert_uint_eq(unfinished(broker), 8);
	ck_assert_uint_eq(letters(broker), 1);
	for (int i = 0; i < 8; i++) {
		ck_assert_int_eq(ops->queue.lease(broker, items, 1, &err, WEIR_FOREVER), 1);
		uint64_t position = items[0]->position;
		ck_assert_uint_eq(items[0]->attempts, position == 4 ? 1000 : position == 5 ? 3 : 0);
		ck_zero(ops->queue.ack(broker, items, 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	}
	ck_zero(ops->close(broker, &err));
}

/* More than a chunk of the store has, and than the window. */
FIBER_TEST(broker_sqlite_stores_a_put_of_any_size_with_one_sync_or_nothing_of_it)
{
	static const struct setting setting = {300, 1 << 20, 1 << 30, 1 << 30};
	const char *folder = new_folder();
	struct item *items[100];
	bool is_again = false;
	use_disk();
	disk.lazy = true;
	struct broker *broker = open_broker(folder, &setting);
	ck_zero(put_range(broker, 1, 1, 10, WEIR_TRY));
	disk.full = true;
	ck_assert_int_eq(put_range(broker, 2, 1001, 10, WEIR_FOREVER), WEIR_ENOSPC);
	disk.full = false;
	ck_assert_uint_eq(unfinished(broker), 1);
	disk.syncs = 0;
	ck_zero(put_range(broker, 2, 1001, 10, WEIR_FOREVER));
	ck_assert_uint_eq(disk.syncs, 1);
	ck_assert_uint_eq(unfinished(broker), 1001);
	for (uint64_t next = 1; next <= 1001;) {
		int n = ops->queue.lease(broker, items, 100, &err, WEIR_FOREVER);
		ck_assert_int_gt(n, 0);
		for (int i = 0; i < n; i++)
			quick_assert(items[i]->position == next++);
		quick_assert(durable(broker)->held_items <= 300);
		ck_zero(ops->queue.ack(broker, items, (size_t)n, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
		if (next < 600 || is_again)
			continue;
		is_again = true;
		ck_zero(ops->close(broker, &err));
		broker = open_broker(folder, &setting);
	}
	ck_assert_uint_eq(unfinished(broker), 0);
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_keeps_ages_and_the_record_of_a_retry)
{
	const char *folder = new_folder();
	struct broker *broker = open_broker(folder, &roomy);
	struct item *item;
	ck_zero(put_range(broker, 1, 1, 10, WEIR_TRY));
	ck_assert_int_eq(ops->queue.lease(broker, &item, 1, &err, WEIR_TRY), 1);
	item->attempt_state =
		(struct weir_attempts){.taken = weir_now(), .first = WEIR_FOREVER, .excused = WEIR_FOREVER};
	weir_sleep(2 * WEIR_SEC);
	item->attempt_state.first = weir_now();
	weir_sleep(3 * WEIR_SEC);
	ck_zero(value_copy(&item->record, "job 7", 5));
	ck_zero(ops->queue.extend(broker, item, &err, WEIR_FOREVER));
	weir_sleep(WEIR_SEC);
	ck_zero(ops->queue.nack(broker, item, 0, &err, WEIR_FOREVER));
	ck_zero(ops->close(broker, &err));
	broker = open_broker(folder, &roomy);
	ck_assert_int_eq(ops->queue.lease(broker, &item, 1, &err, WEIR_FOREVER), 1);
	ck_assert_str_eq(item->record.data, "job 7");
	ck_assert_int_ge(weir_now() - item->attempt_state.taken, 6 * WEIR_SEC);
	ck_assert_int_le(weir_now() - item->attempt_state.taken, 7 * WEIR_SEC);
	ck_assert_int_eq(item->attempt_state.first - item->attempt_state.taken, 2 * WEIR_SEC);
	ck_zero(ops->queue.ack(broker, &item, 1, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_acks_get_through_when_a_put_does_not)
{
	struct item *items[3];
	struct weir_group *group = new_group();
	struct stat st;
	const char *folder = new_folder();
	use_disk();
	struct broker *broker = open_broker(folder, &roomy);
	ck_zero(put_range(broker, 1, 3, 10, WEIR_TRY));
	ck_assert_int_eq(ops->queue.lease(broker, items, 3, &err, WEIR_TRY), 3);
	ck_assert_int_eq(stat(test_format("%s/" STORE_FILE "-wal", folder), &st), 0);
	disk.most = st.st_size + 100 * 1024;
	struct putter putter = {broker, 4, 200, 1900, UNANSWERED};
	spawn(group, put_later, &putter);
	items[2]->attempts++;
	ops->queue.nack(broker, items[2], WEIR_SEC, &err, WEIR_FOREVER);
	ck_zero(ops->queue.ack(broker, items, 2, OUTLET_SINK, NULL, &err, WEIR_FOREVER));
	finish(group);
	ck_assert_int_eq(putter.code, WEIR_ENOSPC);
	ck_assert_uint_eq(unfinished(broker), 1);
	disk.most = 0;
	ck_zero(put_range(broker, 4, 5, 10, WEIR_TRY));
	ck_zero(ops->close(broker, &err));
}

FIBER_TEST(broker_sqlite_broken_disk_is_for_good)
{
	const char *folder = new_folder();
	struct weir_group *group = new_group();
	struct item *items[4], *none;
	struct weir_error own;
	use_disk();
	struct broker *broker = open_broker(folder, &roomy);
	ck_zero(put_range(broker, 1, 4, 10, WEIR_TRY));
	ck_assert_int_eq(ops->queue.lease(broker, items, 4, &err, WEIR_TRY), 4);
	spawn(group, lease_for_ever, broker);
	disk.broken = true;
	ck_assert_int_eq(put_range(broker, 5, 6, 10, WEIR_FOREVER), WEIR_EIO);
	finish(group);
	ck_assert_int_eq(lease_code, WEIR_EIO);
	disk.broken = false;
	ck_assert_int_eq(put_range(broker, 5, 6, 10, WEIR_FOREVER), WEIR_EIO);
	ck_assert_int_eq(ops->queue.lease(broker, &none, 1, &own, WEIR_FOREVER), WEIR_EIO);
	ck_assert_str_ne(own.text, "");
	ck_assert_int_eq(ops->queue.ack(broker, items, 2, OUTLET_SINK, NULL, &own, WEIR_FOREVER), WEIR_EIO);
	ck_assert_int_eq(ops->queue.seal(broker, &own, WEIR_FOREVER), WEIR_EIO);
	for (int i = 0; i < 3; i++)
		ops->queue.nack(broker, items[i], WEIR_SEC, &err, WEIR_FOREVER);
	ops->queue.bury(broker, items[3], &err, WEIR_FOREVER);
	ck_assert_int_eq(ops->close(broker, &own), WEIR_EIO);
	broker = open_broker(folder, &roomy);
	ck_assert_uint_ge(unfinished(broker), 4);
	ck_zero(ops->close(broker, &err));
}

static void fail_for_a_year(struct broker *broker)
{
	struct item *item;
	size_t allocated = 0;
	weir_nsec end = weir_now() + 365 * 86400 * WEIR_SEC;
	ck_zero(put_range(broker, 1, 100, 20, WEIR_TRY));
	for (int n = 0; weir_now() < end; n++) {
		ck_assert_int_eq(ops->queue.lease(broker, &item, 1, &err, WEIR_FOREVER), 1);
		item->attempts++;
		item_set_why(item, "try %u", item->attempts);
		ops->queue.nack(broker, item, 3600 * WEIR_SEC, &err, WEIR_FOREVER);
		if (n == 10000)
			allocated = mallinfo2().uordblks;
	}
	ck_assert_uint_le(mallinfo2().uordblks, allocated + 10000);
}

static int year(void *arg)
{
	struct stat db, wal;
	const char *folder = arg;
	struct broker *broker = open_broker(folder, &roomy);
	fail_for_a_year(broker);
	ck_assert_int_eq(stat(test_format("%s/" STORE_FILE, folder), &db), 0);
	ck_assert_int_eq(stat(test_format("%s/" STORE_FILE "-wal", folder), &wal), 0);
	ck_assert_int_le(db.st_size + wal.st_size, 24 << 20);
	ck_zero(ops->close(broker, &err));
	return 0;
}

TEST(broker_sqlite_year_of_failures_takes_no_room)
{
	use_disk();
	disk.lazy = true;
	ck_assert_int_eq(run_virtual(1, year, (void *)(uintptr_t)new_folder()), 0);
}
