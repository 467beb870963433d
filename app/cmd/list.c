/* SPDX-License-Identifier: MIT */
/* weir list: which components there are, and the keys of one, both from the tables that the parser uses. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "cmd/cmd.h"
#include "port/adapter.h"
#include "spec/plan.h"
#include "spec/suggest.h"

static const char help[] = "usage: weir list [NAME]\n"
			   "\n"
			   "Lists the sources, brokers, steps and sinks there are; with the name of one, or\n"
			   "`flow`, its keys: what each may be, its default, what it does.\n";

static int print_all(const struct buf *text)
{
	if (!text->failed && fwrite(text->data, 1, text->len, stdout) == text->len && fflush(stdout) == 0)
		return EXIT_SUCCESS;
	perror("weir list: standard output");
	return EX_IOERR;
}

static int list_all(void)
{
	struct buf out = {0};
	spec_describe_all(&out);
	buf_add_str(&out, "\nand the section\n  flow      how many at once, how many a second, how often again\n");
	int code = print_all(&out);
	buf_fini(&out);
	return code;
}

static int fail_unknown(const char *name)
{
	struct spec_names names = {0};
	for (const struct adapter *const *at = adapter_registry; *at; at++)
		spec_names_add(&names, (*at)->name);
	spec_names_add(&names, "flow");
	const char *best = spec_suggest(&names, name);
	fprintf(stderr, "weir list: there is no such component%s%s%s\n", best ? "; did you mean \"" : "",
		best ? best : "", best ? "\"?" : "");
	return EX_USAGE;
}

/* A name may stand for several, such as the source and the sink `jsonl`. */
static int list_one(const char *name)
{
	struct buf out = {0};
	for (const struct adapter *const *at = adapter_registry; *at; at++) {
		if (strcmp((*at)->name, name) != 0)
			continue;
		if (out.len)
			buf_add_char(&out, '\n');
		spec_describe(*at, &out);
	}
	if (strcmp(name, "flow") == 0)
		spec_describe_flow(&out);
	int code = out.len || out.failed ? print_all(&out) : fail_unknown(name);
	buf_fini(&out);
	return code;
}

int cmd_list(int argc, char **argv)
{
	if (argc == 2 && (strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0)) {
		fputs(help, stdout);
		return EXIT_SUCCESS;
	}
	if (argc > 2 || (argc == 2 && argv[1][0] == '-')) {
		fputs("usage: weir list [NAME]\n", stderr);
		return EX_USAGE;
	}
	return argc == 2 ? list_one(argv[1]) : list_all();
}
