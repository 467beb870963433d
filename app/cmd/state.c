/* SPDX-License-Identifier: MIT */
/* weir state: the durable state of a run that is not alive. */
#include "cmd/cmd.h"
#include "cmd/paths.h"
#include "store/folder.h"
#include "store/store.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

struct state_options {
	const char *state, *run, *output;
	bool discard;
};

struct state {
	const char *path;
	struct folder folder;
	struct store *store;
};

static void print_help(FILE *to)
{
	fputs("usage: weir state verify RUN\n"
	      "       weir state export RUN [-o FILE]\n"
	      "       weir state rm     RUN [--discard]\n\n"
	      "The durable state of the run called RUN, in .weir/RUN below this folder, which\n"
	      "is not alive.  verify checks everything that can be checked, export writes the\n"
	      "unfinished items as JSON lines, rm removes the state once nothing in it is\n"
	      "unfinished and no dead letter is left.\n\n"
	      "  --state DIR    the state folder, instead of RUN\n"
	      "  --discard      rm: also what is unfinished, and dead letters\n"
	      "  -o FILE        export: default is the standard output\n"
	      "  --help\n",
	      to);
}

static void print_accounts(const struct broker_past *past)
{
	const struct broker_accounts *was = &past->accounts;
	printf("%s: %llu read = %llu succeeded + %llu dropped + %llu dead + %llu unfinished; %llu dead letters kept\n",
	       !past->begun   ? "empty"
	       : past->done   ? "done"
	       : past->sealed ? "unfinished, its source read to the end"
			      : "unfinished",
	       (unsigned long long)was->read, (unsigned long long)was->succeeded, (unsigned long long)was->dropped,
	       (unsigned long long)was->dead, (unsigned long long)past->unfinished, (unsigned long long)past->letters);
}

static int verify(struct state *state, const struct state_options *opts, struct weir_error *err)
{
	struct buf findings = {0};
	struct broker_past past = {0};
	(void)opts;
	int code = store_verify(state->store, &findings, err);
	if (findings.len)
		fwrite(findings.data, 1, findings.len, stdout);
	if (!code)
		code = store_recall(state->store, &past, err);
	if (!code)
		print_accounts(&past);
	broker_past_fini(&past);
	buf_fini(&findings);
	return code;
}

static int export_chunks(struct state *state, FILE *to, struct weir_error *err)
{
	struct store_chunk *chunks = NULL;
	size_t n = 0;
	int code = store_chunks(state->store, &chunks, &n, err);
	for (size_t i = 0; i < n && !code; i++) {
		struct buf lines = {0};
		code = store_export(state->store, chunks[i].id, &lines, err);
		if (!code && lines.len && fwrite(lines.data, 1, lines.len, to) != lines.len)
			code = weir_error_set(err, -errno, "cannot write: %s", strerror(errno));
		buf_fini(&lines);
	}
	free(chunks);
	return code;
}

static int export(struct state *state, const struct state_options *opts, struct weir_error *err)
{
	FILE *to = opts->output ? fopen(opts->output, "we") : stdout;
	if (!to)
		return weir_error_set(err, -errno, "cannot open %s: %s", opts->output, strerror(errno));
	int code = export_chunks(state, to, err);
	if ((to == stdout ? fflush(to) : fclose(to)) && !code)
		code = weir_error_set(err, -errno, "cannot write: %s", strerror(errno));
	return code;
}

static int rm(struct state *state, const struct state_options *opts, struct weir_error *err)
{
	struct broker_past past = {0};
	int code = opts->discard ? 0 : store_recall(state->store, &past, err);
	bool loses = past.begun && (past.letters || (!past.done && past.accounts.read));
	unsigned long long unfinished = past.unfinished, letters = past.letters;
	broker_past_fini(&past);
	if (code)
		return code;
	if (loses)
		return weir_error_set(err, WEIR_EINVAL,
				      "%s has %llu unfinished items and %llu dead letters; finish the run, or say "
				      "--discard",
				      state->path, unfinished, letters);
	store_close(state->store);
	state->store = NULL;
	return folder_remove(&state->folder, err);
}

static const struct verb {
	const char *name;
	int (*run)(struct state *state, const struct state_options *opts, struct weir_error *err);
} verbs[] = {{"verify", verify}, {"export", export}, {"rm", rm}};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; name && i < sizeof verbs / sizeof verbs[0]; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

/* A store that cannot even be opened can still be removed. */
static int open_state(struct state *state, const struct verb *verb, const struct state_options *opts,
		      struct weir_error *err)
{
	int code = folder_open_existing(state->path, &state->folder, err);
	if (code || (verb->run == rm && opts->discard))
		return code;
	return store_open(state->path, 0, &state->store, err);
}

static int run_verb(const struct verb *verb, const struct state_options *opts)
{
	struct weir_error err = {0};
	char *path = cmd_state_folder(opts->state, opts->run);
	struct state state = {.path = path, .folder = {.fd = -1, .lock_fd = -1}};
	int code = path ? open_state(&state, verb, opts, &err) : weir_error_set(&err, WEIR_ENOMEM, "out of memory");
	if (!code)
		code = verb->run(&state, opts, &err);
	if (code)
		fprintf(stderr, "weir state: %s\n", err.text);
	store_close(state.store);
	folder_close(&state.folder);
	free(path);
	return cmd_exit_of(code);
}

int cmd_state(int argc, char **argv)
{
	static const struct option options[] = {
		{"state", required_argument, NULL, 'd'},
		{"discard", no_argument, NULL, 'x'},
		{"output", required_argument, NULL, 'o'},
		{"help", no_argument, NULL, 'h'},
		{0},
	};
	struct state_options opts = {0};
	int option;
	while ((option = getopt_long(argc, argv, "ho:", options, NULL)) >= 0) {
		switch (option) {
		case 'd':
			opts.state = optarg;
			break;
		case 'x':
			opts.discard = true;
			break;
		case 'o':
			opts.output = optarg;
			break;
		case 'h':
			print_help(stdout);
			return 0;
		default:
			print_help(stderr);
			return EX_USAGE;
		}
	}
	const struct verb *verb = find_verb(optind < argc ? argv[optind++] : NULL);
	if (optind < argc)
		opts.run = argv[optind++];
	const char *wrong = optind < argc                     ? "too many arguments"
			    : !verb                           ? "one of verify, export, rm is needed"
			    : !opts.state == !opts.run        ? "which run? RUN by its name, or --state DIR"
			    : opts.discard && verb->run != rm ? "--discard belongs to rm"
							      : NULL;
	if (wrong) {
		fprintf(stderr, "weir state: %s\n\n", wrong);
		print_help(stderr);
		return EX_USAGE;
	}
	return run_verb(verb, &opts);
}
