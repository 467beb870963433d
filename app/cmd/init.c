/* SPDX-License-Identifier: MIT */
/* weir init: writes a starter file; the texts are in templates/, a file each. */
#include "cmd/init.h"

#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "cmd/cmd.h"
#include "spec/suggest.h"

static const char usage[] = "usage: weir init [-o FILE] [TEMPLATE]\n";

static const char help[] = "usage: weir init [-o FILE] [TEMPLATE]\n"
			   "\n"
			   "Writes a commented pipeline file to begin with; without a TEMPLATE lists them.\n"
			   "docs/choosing.md says which one fits.  A file that is there is left alone.\n"
			   "\n"
			   "  -o FILE   write FILE, - for the standard output, instead of TEMPLATE.yaml\n"
			   "  --help    this text\n";

static int end_output(void)
{
	if (!ferror(stdout) && fflush(stdout) == 0)
		return EXIT_SUCCESS;
	perror("weir init: standard output");
	return EX_IOERR;
}

static int list_templates(void)
{
	for (const struct cmd_template *at = cmd_templates; at->name; at++)
		printf("  %-13s %s\n", at->name, at->about);
	puts("\n`weir init TEMPLATE` writes one.");
	return end_output();
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
	struct spec_names names = {0};
	for (const struct cmd_template *at = cmd_templates; at->name; at++)
		spec_names_add(&names, at->name);
	const char *best = spec_suggest(&names, name);
	if (!strcmp(name, "fleet"))
		fputs("weir init: there is no template \"fleet\" yet: many machines on one queue need Redis, which is "
		      "not in this version\n",
		      stderr);
	else
		fprintf(stderr, "weir init: there is no template \"%.80s\"%s%s%s\n", name,
			best ? "; did you mean \"" : "; `weir init` lists them", best ? best : "", best ? "\"?" : "");
	return EX_USAGE;
}

static int fail_file(const char *path, int error)
{
	if (error == EEXIST)
		fprintf(stderr, "weir init: %s is there already, and left as it is; -o FILE writes another one\n",
			path);
	else
		fprintf(stderr, "weir init: %s: %s\n", path, strerror(error));
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
	printf("%s: written; next: weir check %s; its first lines say how to see it run\n", path, path);
	return end_output();
}

static int write_template(const char *name, const char *path)
{
	char own[64];
	const struct cmd_template *template = find_template(name);
	if (!template)
		return fail_unknown(name);
	if (path && !strcmp(path, "-")) {
		fputs(template->text, stdout);
		return end_output();
	}
	snprintf(own, sizeof own, "%s.yaml", name);
	return write_file(path ? path : own, template->text);
}

int cmd_init(int argc, char **argv)
{
	static const struct option options[] = {
		{"output", required_argument, NULL, 'o'}, {"help", no_argument, NULL, 'h'}, {0}};
	const char *path = NULL;
	optind = 0;
	for (int c; (c = getopt_long(argc, argv, "ho:", options, NULL)) != -1;) {
		if (c == 'h') {
			fputs(help, stdout);
			return end_output();
		}
		if (c != 'o') {
			fputs(usage, stderr);
			return EX_USAGE;
		}
		path = optarg;
	}
	if (argc - optind > 1 || (path && argc == optind) || (path && !*path)) {
		fputs(usage, stderr);
		return EX_USAGE;
	}
	return argc == optind ? list_templates() : write_template(argv[optind], path);
}
