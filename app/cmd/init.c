/* SPDX-License-Identifier: MIT */
/* weir init: writes a starter file; the texts are in templates/, a file each. */
#include "cmd/init.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "cmd/options.h"
#include "data/names.h"
#include "data/terminal.h"

struct init_options {
	const char *output;
};

static const struct cmd_option options[] = {
	{"output", "FILE", "file to write; - is the standard output (default: TEMPLATE.yaml)",
	 offsetof(struct init_options, output), .letter = 'o'},
	{0},
};

static const struct cmd_usage usage = {
	.verb = "init",
	.forms = "[-o FILE] [TEMPLATE]",
	.about = "Writes a pipeline file with comments to begin with.  Never replaces a file.\n"
		 "Without a TEMPLATE, lists them; docs/choosing.md says which one fits.",
	.options = options,
};

int init_list(void)
{
	for (const struct cmd_template *at = cmd_templates; at->name; at++)
		printf("  %-13s %s\n", at->name, at->about);
	puts("\n`weir init TEMPLATE` writes one.");
	return 0;
}

static const struct cmd_template *find_template(const char *name)
{
	for (const struct cmd_template *at = cmd_templates; at->name; at++)
		if (!strcmp(at->name, name))
			return at;
	return NULL;
}

static int fail_unknown(const char *name)
{
	struct names names = {0};
	for (const struct cmd_template *at = cmd_templates; at->name; at++)
		names_add(&names, at->name);
	if (!strcmp(name, "fleet"))
		return cmd_refuse(
			&usage, "the template \"fleet\" is not in this version: many machines on one queue need Redis");
	return cmd_refuse_name(&usage, "template", name, &names);
}

static int fail_file(const char *path, int error)
{
	if (error == EEXIST)
		terminal_complain("weir init", "%s exists; name another file with -o FILE", path);
	else
		terminal_complain("weir init", "%s: %s", path, strerror(error));
	return EX_IOERR;
}

/* Whole or not at all. */
static int write_file(const char *path, const char *text)
{
	size_t n = strlen(text);
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
	if (fd < 0)
		return fail_file(path, errno);
	errno = ENOSPC; /* of a write that is cut short */
	bool good = write(fd, text, n) == (ssize_t)n;
	int error = errno;
	if (close(fd) < 0 && good) {
		good = false;
		error = errno;
	}
	if (!good) {
		unlink(path);
		return fail_file(path, error);
	}
	printf("wrote %s; next: read it, then weir try %s\n", path, path);
	return 0;
}

static int write_template(const char *name, const char *path)
{
	char own[64];
	const struct cmd_template *template = find_template(name);
	if (!template)
		return fail_unknown(name);
	if (path && !strcmp(path, "-")) {
		fputs(template->text, stdout);
		return 0;
	}
	snprintf(own, sizeof own, "%s.yaml", name);
	return write_file(path ? path : own, template->text);
}

int cmd_init(int argc, char **argv)
{
	struct init_options opts = {0};
	int words, code;
	if (!cmd_options_read(&usage, argc, argv, &opts, &words, &code))
		return code;
	if (words > 1)
		return cmd_refuse(&usage, "one TEMPLATE, not several");
	if (opts.output && (!words || !*opts.output))
		return cmd_refuse(&usage, words ? "-o needs a file name" : "-o FILE needs a TEMPLATE");
	return words ? write_template(argv[0], opts.output) : init_list();
}
