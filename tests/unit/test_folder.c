/* SPDX-License-Identifier: MIT */
/* State folders that come and go at the same time. */
#include "state/fleet_folder.h"
#include "support/test.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { TIMES = 200 };

static struct weir_error err;

/* The folder of this name is the one that is held. */
static bool is_there(const struct folder *folder)
{
	char *lock = folder_file(folder, "lock");
	bool there = !access(lock, F_OK);
	free(lock);
	return there;
}

static void forget_it(const char *parent)
{
	fleet_folder_forget(parent);
}

static void remove_it(const char *path)
{
	struct folder folder;
	if (folder_open(path, FOLDER_CHANGE, &folder, &err))
		return;
	folder_remove(&folder, &err);
	folder_close(&folder);
}

/* Another process that does it without end. */
static pid_t do_often(void (*fn)(const char *path), const char *path)
{
	pid_t pid = fork();
	ck_assert_int_ge(pid, 0);
	while (!pid)
		fn(path);
	return pid;
}

static void end_it(pid_t pid)
{
	ck_assert_int_eq(kill(pid, SIGKILL), 0);
	ck_assert_int_eq(waitpid(pid, NULL, 0), pid);
}

/* Who ends as the last one removes what another one is about to make its folder in. */
TEST(folder_of_a_process_is_made_while_the_last_other_one_goes)
{
	const char *parent = test_format("%s/weir/name", test_folder());
	pid_t pid = do_often(forget_it, parent);
	for (int i = 0; i < TIMES; i++) {
		struct folder folder;
		int code = fleet_folder_open(parent, &folder, &err);
		if (code)
			ck_abort_msg("%s", err.text);
		quick_assert(is_there(&folder));
		fleet_folder_close(&folder);
	}
	end_it(pid);
}

/* Who waits for the lock of one that removes it has the lock of nothing then. */
TEST(folder_that_is_removed_while_it_is_opened_is_made_again)
{
	const char *path = test_format("%s/weir/name", test_folder());
	pid_t pid = do_often(remove_it, path);
	for (int i = 0; i < TIMES; i++) {
		struct folder folder;
		int code = folder_open(path, FOLDER_RUN, &folder, &err);
		if (code && code != WEIR_EBUSY)
			ck_abort_msg("%s", err.text);
		if (code)
			continue;
		quick_assert(is_there(&folder));
		folder_close(&folder);
	}
	end_it(pid);
}
