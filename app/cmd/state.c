/* SPDX-License-Identifier: MIT */
/* weir state: the durable state of a run that is not alive. */
#include "cmd/cmd.h"
#include "cmd/files.h"
#include "cmd/fleet.h"
#include "cmd/options.h"
#include "cmd/runs.h"
#include "data/names.h"
#include "data/terminal.h"
#include "data/units.h"
#include "sqlite/store/store.h"
#include "state/fleet_folder.h"
#include "state/folder.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct state_options {
	const char *run, *output;
	bool discard;
};

struct state {
	char *path;
	struct folder folder;
	struct store *store;
};

static void print_count(const char *what, uint64_t n, const char *remark)
{
	char text[32];
	printf("  %-12s %14s%s\n", what, units_number_text(n, text), remark);
}

static void print_accounts(const char *what, const struct broker_past *past, bool is_shared)
{
	const struct broker_accounts *was = &past->accounts;
	char letters[32], kept[64] = "";
	if (past->letters != was->dead)
		snprintf(kept, sizeof kept, "   (%s of them kept here)", units_number_text(past->letters, letters));
	printf("%s: whole\n", what);
	if (!past->begun) {
		puts("  no run has started");
		return;
	}
	printf("  %-12s %s\n", "run",
	       past->done     ? "done"
	       : past->sealed ? "unfinished, its source read to the end"
			      : "unfinished");
	if (!is_shared)
		printf("  %-12s %s\n", "closed", past->clean ? "by its run" : "no: its run was killed");
	print_count("read", was->read, "");
	print_count("succeeded", was->succeeded, "");
	if (was->dropped)
		print_count("dropped", was->dropped, "");
	print_count("dead", was->dead, kept);
	print_count("unfinished", past->unfinished, "");
}

static int verify(struct state *state, const struct state_options *opts, struct weir_error *err)
{
	struct buf findings = {0};
	struct broker_past past = {0};
	(void)opts;
	int code = store_verify(state->store, &findings, err);
	if (findings.len)
		terminal_put_lines(stdout, findings.data, findings.len);
	if (!code)
		code = store_recall(state->store, &past, err);
	if (!code)
		print_accounts(state->path, &past, false);
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
		if (!code && lines.len && (code = terminal_put_exact(to, lines.data, lines.len)))
			weir_error_set(err, code, "cannot write: %s", weir_strerror(code));
		buf_fini(&lines);
	}
	free(chunks);
	return code;
}

static int export(struct state *state, const struct state_options *opts, struct weir_error *err)
{
	int code = cmd_output_check(opts->output, state->path, err);
	if (code)
		return code;
	FILE *to = cmd_output_open(opts->output, err);
	return to ? cmd_output_close(to, export_chunks(state, to, err), err) : err->code;
}

static int refuse_loss(const char *what, const struct broker_past *past, struct weir_error *err)
{
	bool loses = past->begun && (past->letters || (!past->done && past->accounts.read));
	if (!loses)
		return 0;
	return weir_error_set(err, WEIR_EINVAL,
			      "%s has %llu unfinished items and %llu dead letters; finish the run, or add --discard",
			      what, (unsigned long long)past->unfinished, (unsigned long long)past->letters);
}

static int rm(struct state *state, const struct state_options *opts, struct weir_error *err)
{
	struct broker_past past = {0};
	int code = opts->discard ? 0 : store_recall(state->store, &past, err);
	if (!code)
		code = refuse_loss(state->path, &past, err);
	broker_past_fini(&past);
	if (code)
		return code;
	store_close(state->store);
	state->store = NULL;
	return folder_remove(&state->folder, err);
}

/* ---- of a run that several processes share: the state is its broker's */

static int verify_shared(struct visit *visit, void *arg, struct weir_error *err)
{
	struct broker_past past = {0};
	(void)arg;
	int code = visit_recall(visit, &past, err);
	if (!code)
		code = broker_check_accounts(&past.accounts, past.unfinished, err);
	if (!code)
		print_accounts(visit->plan->file, &past, true);
	broker_past_fini(&past);
	return code;
}

static int export_shared(struct visit *visit, void *arg, struct weir_error *err)
{
	(void)arg;
	return weir_error_set(err, WEIR_EINVAL, "the items of %s are in its broker, %s, and cannot be exported",
			      visit->plan->file, visit->plan->broker.adapter->name);
}

/* Who works on it would find it gone. */
static int refuse_alive(struct visit *visit, struct weir_error *err)
{
	struct fleet_view view = {0};
	int code = visit_look(visit, &view, err);
	size_t alive = fleet_count_alive(&view);
	fleet_view_fini(&view);
	if (code || !alive)
		return code;
	return weir_error_set(err, WEIR_EBUSY, "%zu process%s at work on %s; stop %s first", alive,
			      alive == 1 ? " is" : "es are", visit->plan->file, alive == 1 ? "it" : "them");
}

/* What is on this machine. */
static void forget_folder(const struct plan *plan)
{
	char *folder = runs_folder_of(plan, NULL);
	if (folder)
		fleet_folder_forget(folder);
	free(folder);
}

static int rm_shared(struct visit *visit, void *arg, struct weir_error *err)
{
	const struct state_options *opts = arg;
	struct broker_past past = {0};
	int code = refuse_alive(visit, err);
	if (!code)
		code = visit_recall(visit, &past, err);
	if (!code && !opts->discard)
		code = refuse_loss(visit->plan->file, &past, err);
	if (!code && past.begun)
		code = visit->ops->journal.forget(visit->broker, past.run, err, WEIR_FOREVER);
	if (code == BROKER_MOVED)
		code = weir_error_set(err, WEIR_EBUSY, "another process has begun a run meanwhile");
	if (!code)
		forget_folder(visit->plan);
	broker_past_fini(&past);
	return code;
}

static const struct verb {
	const char *name;
	int (*run)(struct state *state, const struct state_options *opts, struct weir_error *err);
	int (*run_shared)(struct visit *visit, void *opts, struct weir_error *err);
} verbs[] = {{"verify", verify, verify_shared}, {"export", export, export_shared}, {"rm", rm, rm_shared}};

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
	int code = folder_open(state->path, verb->run == rm ? FOLDER_CHANGE : FOLDER_LOOK, &state->folder, err);
	if (code || (verb->run == rm && opts->discard))
		return code;
	unsigned flags = (verb->run == verify ? STORE_VERIFY : 0u) | (state->folder.readonly ? STORE_READONLY : 0u);
	return store_open(state->path, flags, &state->store, err);
}

static int run_verb(const struct verb *verb, struct state_options *opts)
{
	struct weir_error err = {0};
	struct state state = {.folder = {.fd = -1, .lock_fd = -1}};
	struct plan *plan = visit_find(opts->run);
	if (plan)
		return visit_run(plan, "weir state", verb->run_shared, opts);
	int code = runs_find(opts->run, &state.path, &err);
	if (!code)
		code = open_state(&state, verb, opts, &err);
	if (!code)
		code = verb->run(&state, opts, &err);
	if (code)
		terminal_complain("weir state", "%s", err.text);
	store_close(state.store);
	folder_close(&state.folder);
	free(state.path);
	return cmd_exit_of(code);
}

#define AT(field) offsetof(struct state_options, field)

static const struct cmd_option options[] = {
	{"discard", NULL, "rm: also discard unfinished items and dead letters", AT(discard)},
	{"output", "FILE", "export: file to write (default: the standard output)", AT(output), .letter = 'o'},
	{0},
};

static const struct cmd_usage usage = {
	.verb = "state",
	.forms = "verify [RUN]\nexport [RUN] [-o FILE]\nrm     RUN [--discard]",
	.about = "The durable state of a run that is not alive.  RUN is its name, for .weir/RUN\n"
		 "below this folder, its pipeline file, or its state folder (default: the only run\n"
		 "below this folder).\n\n"
		 "  verify   checks the state and prints its accounts\n"
		 "  export   writes the unfinished items as JSON lines\n"
		 "  rm       removes the state once no item is unfinished and no dead letter left\n\n"
		 "verify and export also work on a read-only disk.  Of a pipeline that several\n"
		 "processes share, name the file: verify and rm are for the state in its broker.",
	.options = options,
};

static int refuse_verb(const char *word)
{
	struct names names = {0};
	for (size_t i = 0; i < sizeof verbs / sizeof verbs[0]; i++)
		names_add(&names, verbs[i].name);
	return cmd_refuse_name(&usage, "verb", word, &names);
}

int cmd_state(int argc, char **argv)
{
	struct state_options opts = {0};
	int words, code;
	if (!cmd_options_read(&usage, argc, argv, &opts, &words, &code))
		return code;
	const struct verb *verb = find_verb(words ? argv[0] : NULL);
	opts.run = words > 1 ? argv[1] : NULL;
	if (words > 2)
		return cmd_refuse(&usage, "too many arguments");
	if (!verb)
		return words ? refuse_verb(argv[0]) : cmd_refuse(&usage, "which verb? verify, export or rm");
	if (verb->run == rm && !opts.run)
		return cmd_refuse(&usage, "which run? rm needs its name, its file or its state folder");
	if (opts.discard && verb->run != rm)
		return cmd_refuse(&usage, "--discard belongs to rm");
	return run_verb(verb, &opts);
}
