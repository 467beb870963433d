/* SPDX-License-Identifier: MIT */
/*
 * The end of a program that broke a contract: the place of its call, what is wrong, abort().
 *
 * A call that passes no WEIR_HERE leaves only the address to which it returns.  addr2line finds its line in the debug
 * information, and is there wherever gcc is.  It runs as a child with a time limit and without an environment, since
 * what DEBUGINFOD_URLS asks for could take minutes.  Where it does not answer, the place is "PROGRAM+0xADDRESS", so
 * that `addr2line -e PROGRAM 0xADDRESS` tells the line on the machine where the program was built.
 */
#include "base/contract.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define ADDR2LINE      "/usr/bin/addr2line"
#define ADDR2LINE_MSEC 5000

/* A file of machine code that is loaded, and an address as the file counts them. */
struct code_place {
	const char *file;
	size_t address;
};

static pid_t start_addr2line(const struct code_place *code, int output)
{
	char file[32], address[32];
	snprintf(file, sizeof file, "/proc/%d/exe", getpid()); /* the program: its name may be without a folder */
	snprintf(address, sizeof address, "%#zx", code->address);
	bool is_program = !strcmp(code->file, program_invocation_name);
	char *argv[] = {"addr2line", "-e", is_program ? file : (char *)code->file, address, NULL};
	posix_spawn_file_actions_t actions;
	pid_t pid = -1;
	if (posix_spawn_file_actions_init(&actions))
		return -1;
	if (posix_spawn_file_actions_adddup2(&actions, output, STDOUT_FILENO) ||
	    posix_spawn_file_actions_addopen(&actions, STDERR_FILENO, "/dev/null", O_WRONLY, 0) ||
	    posix_spawn(&pid, ADDR2LINE, &actions, NULL, argv, (char *[]){NULL}))
		pid = -1;
	posix_spawn_file_actions_destroy(&actions);
	return pid;
}

/* The first line of what comes within the time limit; addr2line writes it in one piece. */
static void read_line(int fd, char *line, size_t room)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	ssize_t n = poll(&wait, 1, ADDR2LINE_MSEC) > 0 ? read(fd, line, room - 1) : 0;
	line[n > 0 ? n : 0] = 0;
	line[strcspn(line, "\n")] = 0;
}

/* "main.c:42", or false.  Of what it does not know addr2line says "??:0" or "main.c:?". */
static bool find_line(const struct code_place *code, char *line, size_t room)
{
	int ends[2];
	if (pipe2(ends, O_CLOEXEC) < 0)
		return false;
	pid_t pid = start_addr2line(code, ends[1]);
	close(ends[1]);
	line[0] = 0;
	if (pid > 0) {
		read_line(ends[0], line, room);
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	close(ends[0]);
	char *remark = strstr(line, " (discriminator ");
	if (remark)
		*remark = 0;
	const char *number = strrchr(line, ':');
	return number && strtol(number + 1, NULL, 10) > 0;
}

static void print_place(const void *from)
{
	Dl_info program = {0};
	struct link_map *map = NULL;
	const char *at = (const char *)from - 1; /* a call lies before the address to which it returns */
	if (!dladdr1(at, &program, (void **)&map, RTLD_DL_LINKMAP) || !program.dli_fname)
		return;
	struct code_place code = {program.dli_fname, (size_t)at - (map ? map->l_addr : 0)};
	char line[512];
	if (find_line(&code, line, sizeof line))
		fprintf(stderr, "%s: ", line);
	else
		fprintf(stderr, "%s+%#zx: ", code.file, code.address);
}

void weir__broken(const char *here, const void *from, const char *format, ...)
{
	va_list args;
	if (here)
		fprintf(stderr, "%s: ", here);
	else
		print_place(from);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputc('\n', stderr);
	abort();
}
