/* SPDX-License-Identifier: MIT */
#include "support/test.h"

#include "fleet/name.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static struct fleet_host here(void)
{
	struct fleet_host host;
	ck_assert_int_eq(fleet_host_here(&host), 0);
	return host;
}

TEST(fleet_name_of_a_process_says_when_it_is_gone)
{
	const struct fleet_host host = here();
	char name[FLEET_NAME_BYTES], ticket[FLEET_NAME_BYTES + 8];
	int pipes[2];
	ck_assert_int_eq(pipe(pipes), 0);
	pid_t child = fork();
	if (!child) {
		if (fleet_name_make(&host, name) || write(pipes[1], name, sizeof name) != sizeof name)
			_exit(1);
		pause();
	}
	ck_assert_int_eq(read(pipes[0], name, sizeof name), sizeof name);
	snprintf(ticket, sizeof ticket, "%s.42", name);
	ck_assert(!fleet_name_is_gone(&host, name));
	ck_assert(!fleet_name_is_gone(&host, ticket));
	ck_assert_int_eq(kill(child, SIGKILL), 0);
	ck_assert_int_eq(waitid(P_PID, (id_t)child, &(siginfo_t){0}, WEXITED | WNOWAIT), 0);
	ck_assert(fleet_name_is_gone(&host, name)); /* a zombie does nothing more */
	ck_assert_int_eq(waitpid(child, NULL, 0), child);
	ck_assert(fleet_name_is_gone(&host, name));
	ck_assert(fleet_name_is_gone(&host, ticket));
	close(pipes[0]);
	close(pipes[1]);
}

TEST(fleet_name_of_another_process_with_the_same_pid_is_gone)
{
	const struct fleet_host host = here();
	char name[FLEET_NAME_BYTES];
	ck_assert_int_eq(fleet_name_make(&host, name), 0);
	ck_assert(!fleet_name_is_gone(&host, name));
	ck_assert_ptr_eq(strpbrk(name, " \n"), NULL);
	char *start = strrchr(name, '/');
	start[-1] = start[-1] == '9' ? '8' : '9'; /* it started at another time */
	ck_assert(fleet_name_is_gone(&host, name));
}

TEST(fleet_name_of_another_host_says_nothing)
{
	const struct fleet_host host = here();
	struct fleet_host other = host;
	char name[FLEET_NAME_BYTES], again[FLEET_NAME_BYTES];
	strcpy(other.boot, "00000000-0000-0000-0000-000000000000");
	ck_assert_int_eq(fleet_name_make(&other, name), 0);
	name[strlen(name) - 10] = name[strlen(name) - 10] == '9' ? '8' : '9';
	ck_assert(!fleet_name_is_gone(&host, name));
	other = host;
	other.namespace ++;
	ck_assert_int_eq(fleet_name_make(&other, name), 0);
	ck_assert(!fleet_name_is_gone(&host, name));
	static const char *const nonsense[] = {"", "a", "a/b/c/d/e/f", "a/b/1/-1/1/f", "////"};
	for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++)
		ck_assert(!fleet_name_is_gone(&host, nonsense[i]));
	ck_assert_int_eq(fleet_name_make(&host, name), 0);
	ck_assert_int_eq(fleet_name_make(&host, again), 0);
	ck_assert_str_ne(name, again);
}
