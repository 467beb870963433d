/* SPDX-License-Identifier: MIT */
#include "fleet/name.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <unistd.h>

/* The beginning of a small file, as text. */
static int read_text(const char *path, char *text, size_t room)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	ssize_t n = read(fd, text, room - 1);
	int error = errno;
	close(fd);
	if (n < 0)
		return -error;
	text[n] = 0;
	return 0;
}

/* State and start of a process, from what is behind its name in /proc/PID/stat; the name may have any bytes. */
static int read_process(long pid, char *ret_state, uint64_t *ret_start)
{
	char path[48], text[1024];
	snprintf(path, sizeof path, "/proc/%ld/stat", pid);
	int code = read_text(path, text, sizeof text);
	const char *rest = code ? NULL : strrchr(text, ')');
	if (!rest)
		return code ? code : WEIR_EDATA;
	bool read =
		sscanf(rest, ") %c %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %*s %" SCNu64,
		       ret_state, ret_start) == 2;
	return read ? 0 : WEIR_EDATA;
}

int fleet_host_here(struct fleet_host *ret_host)
{
	struct fleet_host host = {.name = "?"};
	char link[64];
	int code = read_text("/proc/sys/kernel/random/boot_id", host.boot, sizeof host.boot);
	if (code)
		return code;
	host.boot[strcspn(host.boot, "\n")] = 0;
	ssize_t n = readlink("/proc/self/ns/pid", link, sizeof link - 1);
	if (n < 0)
		return -errno;
	link[n] = 0;
	if (sscanf(link, "pid:[%" SCNu64 "]", &host.namespace) != 1)
		return WEIR_EDATA;
	gethostname(host.name, sizeof host.name - 1);
	for (char *c = host.name; *c; c++)
		if (!isalnum((unsigned char)*c) && *c != '.' && *c != '-')
			*c = '-';
	*ret_host = host;
	return 0;
}

int fleet_name_make(const struct fleet_host *here, char ret_name[FLEET_NAME_BYTES])
{
	char state;
	uint64_t start;
	uint32_t random;
	int code = read_process((long)getpid(), &state, &start);
	if (code)
		return code;
	if (getrandom(&random, sizeof random, 0) != sizeof random)
		return -errno;
	snprintf(ret_name, FLEET_NAME_BYTES, "%s/%s/%" PRIu64 "/%ld/%" PRIu64 "/%08" PRIx32, here->name, here->boot,
		 here->namespace, (long)getpid(), start, random);
	return 0;
}

bool fleet_name_is_gone(const struct fleet_host *here, const char *name)
{
	char boot[sizeof here->boot], state;
	uint64_t space, started, start;
	long pid;
	if (sscanf(name, "%*[^/]/%39[^/]/%" SCNu64 "/%ld/%" SCNu64 "/", boot, &space, &pid, &started) != 4 || pid <= 0)
		return false;
	if (strcmp(boot, here->boot) != 0 || space != here->namespace)
		return false;
	if (kill((pid_t)pid, 0) < 0 && errno == ESRCH)
		return true;
	/* /proc may hide processes of others: then it is there, as far as is known. */
	return !read_process(pid, &state, &start) && (start != started || state == 'Z' || state == 'X');
}
