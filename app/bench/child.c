/* SPDX-License-Identifier: MIT */
/* Each child dies with its parent, however that ends. */
#include "bench/child.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <grp.h>
#include <pwd.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum { DEEPEST = 8 };

/* ---- where programs are */

char *bench_child_find(const char *name)
{
	const char *where = getenv("PATH");
	char *folders = strdup(where ? where : "/usr/bin:/bin"), *rest = folders, *folder, *path;
	while (folders && (folder = strsep(&rest, ":"))) {
		if (asprintf(&path, "%s/%s", folder[0] ? folder : ".", name) < 0)
			break;
		if (access(path, X_OK) == 0) {
			free(folders);
			return path;
		}
		free(path);
	}
	free(folders);
	return NULL;
}

/* Debian has the server's programs in a folder for each version, which is in nobody's PATH. */
char *bench_child_find_postgres(const char *name)
{
	char pattern[96];
	glob_t found;
	char *newest = NULL;
	snprintf(pattern, sizeof pattern, "/usr/lib/postgresql/[1-9]*/bin/%s", name);
	if (glob(pattern, 0, NULL, &found) == 0) {
		size_t best = 0;
		for (size_t i = 1; i < found.gl_pathc; i++)
			if (strverscmp(found.gl_pathv[i], found.gl_pathv[best]) > 0)
				best = i;
		newest = strdup(found.gl_pathv[best]);
		globfree(&found);
	}
	return newest ? newest : bench_child_find(name);
}

/* ---- start and end */

static void become_nobody(void)
{
	const struct passwd *nobody = geteuid() == 0 ? getpwnam("nobody") : NULL;
	if (!nobody)
		return;
	if (chdir("/") < 0 || setgroups(0, NULL) < 0 || setgid(nobody->pw_gid) < 0 || setuid(nobody->pw_uid) < 0)
		_exit(127);
}

static void run_child(const struct bench_child *child, int out)
{
	int none = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (child->as_nobody)
		become_nobody();
	prctl(PR_SET_PDEATHSIG, child->end_signal ? child->end_signal : SIGKILL); /* a change of user forgets it */
	if (child->file)
		out = open(child->file, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	dup2(none, STDIN_FILENO);
	dup2(out >= 0 ? out : none, STDOUT_FILENO);
	dup2((child->errors || child->file) && out >= 0 ? out : none, STDERR_FILENO);
	for (const char *const *sets = child->sets; sets && *sets; sets += 2)
		setenv(sets[0], sets[1], 1);
	execv(child->words[0], (char *const *)(uintptr_t)child->words);
	_exit(127);
}

pid_t bench_child_start(const struct bench_child *child, int *ret_from)
{
	int ends[2] = {-1, -1};
	if (ret_from && pipe2(ends, O_CLOEXEC) < 0)
		return -1;
	pid_t pid = fork();
	if (pid == 0)
		run_child(child, ends[1]);
	if (ret_from) {
		close(ends[1]);
		*ret_from = ends[0];
	}
	return pid;
}

int bench_child_wait(pid_t pid)
{
	int status = -1;
	while (pid > 0 && waitpid(pid, &status, 0) < 0 && errno == EINTR)
		;
	return status;
}

int bench_child_run(const struct bench_child *child, char *text, size_t room)
{
	int from = -1;
	size_t used = 0;
	char more[512];
	pid_t pid = bench_child_start(child, &from);
	for (;;) {
		ssize_t n = from < 0 ? 0 : read(from, more, sizeof more);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		size_t fits = room - 1 - used < (size_t)n ? room - 1 - used : (size_t)n;
		memcpy(text + used, more, fits);
		used += fits;
	}
	text[used] = 0;
	if (used && text[used - 1] == '\n')
		text[used - 1] = 0;
	if (from >= 0)
		close(from);
	return bench_child_wait(pid);
}

bool bench_child_folder(bool for_nobody, char folder[static 64])
{
	const char *tmp = for_nobody && geteuid() == 0 ? NULL : getenv("TMPDIR");
	snprintf(folder, 64, "%.40s/weir-bench-XXXXXX", tmp && strlen(tmp) <= 40 ? tmp : "/tmp");
	return mkdtemp(folder) != NULL;
}

void bench_child_remove(const char *folder)
{
	const char *const words[] = {"/bin/rm", "-rf", folder, NULL};
	bench_child_wait(bench_child_start(&(struct bench_child){.words = words}, NULL));
}

/* ---- memory */

static double own_memory(pid_t pid)
{
	char path[48], line[128];
	double kib = 0;
	snprintf(path, sizeof path, "/proc/%ld/smaps_rollup", (long)pid);
	FILE *file = fopen(path, "re");
	while (file && fgets(line, sizeof line, file))
		if (!strncmp(line, "Pss:", 4)) {
			kib = strtod(line + 4, NULL);
			break;
		}
	if (file)
		fclose(file);
	return kib * 1024;
}

static double memory_below(pid_t pid, int depth);

/* A thread's own children are in a file of that thread. */
static double memory_of_children(const char *path, int depth)
{
	FILE *file = fopen(path, "re");
	long child;
	double bytes = 0;
	while (file && fscanf(file, "%ld", &child) == 1)
		bytes += memory_below((pid_t)child, depth);
	if (file)
		fclose(file);
	return bytes;
}

static double memory_below(pid_t pid, int depth)
{
	char path[320];
	double bytes = own_memory(pid);
	snprintf(path, sizeof path, "/proc/%ld/task", (long)pid);
	DIR *tasks = depth < DEEPEST ? opendir(path) : NULL;
	for (const struct dirent *task; tasks && (task = readdir(tasks));) {
		if (task->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/%ld/task/%s/children", (long)pid, task->d_name);
		bytes += memory_of_children(path, depth + 1);
	}
	if (tasks)
		closedir(tasks);
	return bytes;
}

double bench_child_memory(pid_t pid)
{
	return memory_below(pid, 0);
}
