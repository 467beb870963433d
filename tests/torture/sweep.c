/* SPDX-License-Identifier: MIT */
/*
 * Each workload with each call of each kind failing, in turn: `weir-faults [--sample N] [--seed N] [name-part …]`.
 *
 * A workload runs once to count its calls, then with the first call failing, the second, and so on, until one run sees
 * no failure; then with every call from the k-th on failing.  Nothing may crash, hang, or be left: no allocation, no
 * mapping, no descriptor, no child.  What the calls must answer is said in workloads.c.
 * With --sample at most N places are tried for each kind of fault, drawn by the seed.  Ends with "N passed, N failed",
 * counting workloads times kinds; whatever else ends the program says where it was.
 */
#include "torture/faults.h"

#include <weir/random.h>

#include <dirent.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include <weir/run.h>

enum { SECONDS_MOST = 60 }; /* of one run of a workload */

static const char *const kind_names[FAULT_KINDS] = {"none",        "memory", "system", "old kernel",
						    "interrupted", "again",  "short",  "hard"};
static char position[128];

/* A fault that lasts: which kinds a workload survives then, since it ends by its deadlines. */
static const unsigned lasting = 1u << FAULT_MEMORY | 1u << FAULT_SYSTEM | 1u << FAULT_OLD | 1u << FAULT_SHORT;

static void on_death(int signal)
{
	static const char words[] = "torture: it ended at: ";
	(void)!write(2, words, sizeof words - 1);
	(void)!write(2, position, strlen(position));
	(void)!write(2, "\n", 1);
	_exit(128 + signal);
}

static int count_fds(void)
{
	int n = 0;
	DIR *dir = opendir("/proc/self/fd");
	while (dir && readdir(dir))
		n++;
	if (dir)
		closedir(dir);
	return n;
}

/* What weir_run() may say of its own, or pass on from a workload whose first fiber found no memory. */
static bool is_named(int code)
{
	return code == 0 || code == WEIR_ENOMEM || code == WEIR_EMFILE;
}

/* One run: how many calls of the kind it made, and in *ret_fired how many of them failed. */
static size_t run_once(const struct workload *workload, enum fault_kind kind, size_t first, size_t last,
		       size_t *ret_fired)
{
	snprintf(position, sizeof position, "%s, %s, calls %zu to %zu", workload->name, kind_names[kind], first, last);
	alarm(SECONDS_MOST);
	int fds = count_fds();
	long live = faults_live();
	faults_arm(kind, first, last);
	int code = weir_run(&(struct weir_options){.flags = workload->flags}, workload->fn, NULL);
	size_t calls = faults_calls();
	*ret_fired = faults_fired();
	faults_arm(FAULT_NONE, 0, 0);
	check(is_named(code));
	check(*ret_fired || code == 0);
	check(faults_live() == live);
	check(count_fds() == fds);
	check(faults_no_child_left());
	return calls;
}

static void run_at(const struct workload *workload, enum fault_kind kind, size_t k, size_t *ret_fired)
{
	run_once(workload, kind, k, k, ret_fired);
	size_t unused;
	if (lasting & 1u << kind)
		run_once(workload, kind, k, SIZE_MAX, &unused);
}

/* Returns how many places were tried.  Threads make the number of calls differ from run to run by a few. */
static size_t sweep(const struct workload *workload, enum fault_kind kind, size_t sample, uint64_t *random)
{
	size_t fired, calls = run_once(workload, kind, 0, 0, &fired), tried = 0;
	if (sample && sample < calls) {
		for (; tried < sample; tried++)
			run_at(workload, kind, 1 + weir_random(random) % calls, &fired);
		return tried;
	}
	for (size_t k = 1; k <= calls; k++, tried++)
		run_at(workload, kind, k, &fired);
	return tried;
}

static bool wanted(const struct workload *workload, int argc, char **argv, int from)
{
	for (int i = from; i < argc; i++)
		if (strstr(workload->name, argv[i]))
			return true;
	return from >= argc;
}

static int run_nothing(void *arg)
{
	(void)arg;
	return 0;
}

int main(int argc, char **argv)
{
	size_t sample = 0, passed = 0;
	uint64_t seed = (uint64_t)time(NULL);
	int from = 1;
	for (; from + 1 < argc && argv[from][0] == '-'; from += 2)
		if (!strcmp(argv[from], "--sample"))
			sample = strtoul(argv[from + 1], NULL, 10);
		else if (!strcmp(argv[from], "--seed"))
			seed = strtoull(argv[from + 1], NULL, 10);
	signal(SIGABRT, on_death);
	signal(SIGSEGV, on_death);
	signal(SIGALRM, on_death);
	signal(SIGPIPE, SIG_IGN);
	weir_run(NULL, run_nothing, NULL); /* libuv keeps a pipe of its own from its first loop on */
	printf("faults: seed %llu\n", (unsigned long long)seed);
	for (const struct workload *workload = workloads; workload->name; workload++) {
		if (!wanted(workload, argc, argv, from))
			continue;
		for (enum fault_kind kind = FAULT_MEMORY; kind < FAULT_KINDS; kind++) {
			if (!(workload->kinds & 1u << kind))
				continue;
			size_t tried = sweep(workload, kind, sample, &seed);
			printf("ok   %s, %s: %zu places\n", workload->name, kind_names[kind], tried);
			fflush(stdout);
			passed++;
		}
	}
	printf("%zu passed, 0 failed\n", passed);
	return 0;
}
