/* SPDX-License-Identifier: MIT */
/* weir dead: the dead letters that a run keeps in its state. */
#include "cmd/cmd.h"
#include "cmd/dead_mend.h"
#include "cmd/dead_show.h"
#include "cmd/files.h"
#include "cmd/letters.h"
#include "cmd/options.h"
#include "cmd/runs.h"
#include "cmd/visit.h"
#include "data/names.h"
#include "data/terminal.h"
#include "data/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct dead_options {
	const char *run, *output, *program, *from;
	struct letter_query query;
	bool all, limited;
};

enum { LS_LIMIT = 100, GROUPS_SHOWN = 20, EXIT_STAYED = 3 };
#define UNLIMITED SIZE_MAX /* no --limit was given */

/* How other calls of weir name this run: " orders", or nothing, as in this call. */
static const char *run_name(const struct dead_options *opts, char text[300])
{
	snprintf(text, 300, "%s%s", opts->run ? " " : "", opts->run ? opts->run : "");
	return text;
}

/* --- what is not there --- */

/* "no dead letters", or where they are; of a filter that finds nothing, what it was: -ENOENT if it names one. */
static int say_none(struct letters *letters, const struct dead_options *opts, struct weir_error *err)
{
	const struct letter_query *query = &opts->query;
	const char *elsewhere = letters_elsewhere(letters);
	char name[300];
	if (elsewhere) {
		printf("this run writes its dead letters to %s\n", elsewhere);
		return 0;
	}
	if (query->id)
		return weir_error_set(err, -ENOENT, "no dead letter %" PRIu64 "; `weir dead ls%s` lists them",
				      query->id, run_name(opts, name));
	if (query->group)
		return weir_error_set(err, -ENOENT, "no dead letters in group %08x; `weir dead%s` lists the groups",
				      query->group, run_name(opts, name));
	if (query->reason)
		printf("no dead letters with \"%s\" in their reason\n", query->reason);
	else
		puts("no dead letters");
	return 0;
}

/* --- the verbs --- */

struct listing {
	void (*print_heading)(void); /* NULL: there is none */
	void (*print)(const struct json *letter);
	uint64_t n;
	int64_t letters; /* of all groups */
	FILE *to;
};

static int print_letter(const struct json *letter, void *arg, struct weir_error *err)
{
	struct listing *listing = arg;
	(void)err;
	if (!listing->n++ && listing->print_heading)
		listing->print_heading();
	listing->print(letter);
	return 0;
}

static int print_page(const struct buf *lines, void *arg, struct weir_error *err)
{
	return letters_each_line(lines, print_letter, arg, err);
}

static int list(struct letters *letters, struct dead_options *opts, struct weir_error *err)
{
	struct listing listing = {.print_heading = dead_print_heading, .print = dead_print_row};
	struct letter_query query = opts->query;
	if (!opts->limited)
		query.limit = LS_LIMIT;
	int code = letters_each_page(letters, &query, print_page, &listing, err);
	return code || listing.n ? code : say_none(letters, opts, err);
}

static int show(struct letters *letters, struct dead_options *opts, struct weir_error *err)
{
	struct listing listing = {.print = dead_print_letter};
	int code = letters_each_page(letters, &opts->query, print_page, &listing, err);
	return code || listing.n ? code : say_none(letters, opts, err);
}

static int write_page(const struct buf *lines, void *arg, struct weir_error *err)
{
	struct listing *listing = arg;
	listing->n++;
	int code = terminal_put_exact(listing->to, lines->data, lines->len);
	return code ? weir_error_set(err, code, "cannot write: %s", weir_strerror(code)) : 0;
}

static int export(struct letters *letters, struct dead_options *opts, struct weir_error *err)
{
	struct listing listing = {.to = cmd_output_open(opts->output, err)};
	if (!listing.to)
		return err->code;
	int code = letters_each_page(letters, &opts->query, write_page, &listing, err);
	code = cmd_output_close(listing.to, code, err);
	if (code || listing.n)
		return code;
	if (letters_elsewhere(letters))
		fprintf(stderr, "weir dead: this run writes its dead letters to %s\n", letters_elsewhere(letters));
	else if (opts->query.id || opts->query.group)
		code = say_none(letters, opts, err);
	return code;
}

static int replay(struct letters *letters, struct dead_options *opts, struct weir_error *err)
{
	uint64_t n = 0;
	bool stayed = false;
	if (letters_elsewhere(letters) && (opts->from || opts->program))
		return weir_error_set(err, WEIR_EINVAL,
				      "this run writes its dead letters to %s, and keeps none to replay",
				      letters_elsewhere(letters));
	if (opts->from || opts->program) {
		int code = opts->from ? dead_mend_from_file(letters, opts->from, &stayed, err)
				      : dead_mend_by_program(letters, opts->program, &opts->query, &stayed, err);
		return code ? code : stayed ? EXIT_STAYED : 0;
	}
	int code = letters_do(letters, &(struct letters_request){LETTERS_REPLAY, opts->query}, NULL, &n, err);
	if (!code && !n)
		return say_none(letters, opts, err);
	if (!code)
		dead_print_replayed(n, letters_live(letters));
	return code;
}

static int purge(struct letters *letters, struct dead_options *opts, struct weir_error *err)
{
	uint64_t n = 0;
	int code = letters_do(letters, &(struct letters_request){LETTERS_PURGE, opts->query}, NULL, &n, err);
	if (!code && !n)
		return say_none(letters, opts, err);
	if (!code)
		printf("%" PRIu64 " dead letter%s deleted\n", n, n == 1 ? "" : "s");
	return code;
}

/* The line about all of them is the last. */
static int find_total(const struct json *line, void *arg, struct weir_error *err)
{
	struct listing *listing = arg;
	(void)err;
	if (!json_member(line, "group"))
		listing->letters = json_member_int(line, "letters");
	return 0;
}

static int print_group(const struct json *line, void *arg, struct weir_error *err)
{
	struct listing *listing = arg;
	int64_t groups = json_member_int(line, "groups");
	(void)err;
	if (json_member(line, "group")) {
		if (listing->n++ < GROUPS_SHOWN)
			dead_print_group(line, listing->letters);
	} else if (groups > GROUPS_SHOWN) {
		printf("... and %" PRId64 " more groups%s\n", groups - GROUPS_SHOWN,
		       json_member_int(line, "others") ? ", and others that are not listed separately" : "");
	}
	return 0;
}

static int group(struct letters *letters, struct dead_options *opts, struct weir_error *err)
{
	struct listing listing = {0};
	struct buf lines = {0};
	uint64_t n = 0;
	char name[300];
	int code = letters_do(letters, &(struct letters_request){LETTERS_GROUPS}, &lines, &n, err);
	if (!code)
		code = letters_each_line(&lines, find_total, &listing, err);
	if (!code && !listing.letters) {
		code = say_none(letters, opts, err);
	} else if (!code) {
		dead_print_groups_heading();
		code = letters_each_line(&lines, print_group, &listing, err);
		run_name(opts, name);
		printf("\nweir dead show%s ID shows one, weir dead replay%s --group GROUP replays a group\n", name,
		       name);
	}
	buf_fini(&lines);
	return code;
}

static const struct verb {
	const char *name;
	int (*run)(struct letters *letters, struct dead_options *opts, struct weir_error *err);
	bool changes;
} verbs[] = {
	{"ls", list, false},    {"show", show, false},     {"replay", replay, true},
	{"purge", purge, true}, {"export", export, false}, {NULL, group, false}, /* without a name */
};

static const struct verb *find_verb(const char *name)
{
	const struct verb *verb = verbs;
	while (verb->name && (!name || strcmp(verb->name, name) != 0))
		verb++;
	return verb;
}

struct dead_verb {
	const struct verb *verb;
	struct dead_options *opts;
};

static int run_visit(struct visit *visit, void *arg, struct weir_error *err)
{
	const struct dead_verb *call = arg;
	struct letters *letters = NULL;
	int code = letters_visit(visit, &letters, err);
	if (!code)
		code = call->verb->run(letters, call->opts, err);
	letters_close(letters);
	return code;
}

static int run_verb(const struct verb *verb, struct dead_options *opts)
{
	struct weir_error err = {0};
	struct letters *letters = NULL;
	char *folder = NULL;
	struct plan *plan = visit_find(opts->run);
	if (plan)
		return visit_run(plan, "weir dead", run_visit, &(struct dead_verb){verb, opts});
	int code = runs_find(opts->run, &folder, &err);
	if (!code)
		code = cmd_output_check(opts->output, folder, &err);
	if (!code)
		code = letters_open(folder, verb->changes, &letters, &err);
	if (!code)
		code = verb->run(letters, opts, &err);
	if (code < 0)
		terminal_complain("weir dead", "%s", err.text);
	letters_close(letters);
	free(folder);
	return code > 0 ? code : cmd_exit_of(code);
}

/* --- words --- */

static bool take_id(const char *text, uint64_t *ret_id)
{
	int64_t id;
	if (!units_count(text, strlen(text), 1, INT64_MAX, &id))
		return false;
	*ret_id = (uint64_t)id;
	return true;
}

static int set_group(void *arg, const char *value, struct weir_error *err)
{
	struct dead_options *opts = arg;
	return letters_group_read(value, &opts->query.group)
		       ? 0
		       : weir_error_set(err, WEIR_EINVAL, "\"%.60s\" is not a group (eight digits)", value);
}

#define AT(field) offsetof(struct dead_options, field)

static const struct cmd_option options[] = {
	{.text = "FILTER, one or more of"},
	{"id", "ID", "the one with this ID; a bare ID after RUN is the same", AT(query.id), .least = 1,
	 .most = INT64_MAX},
	{"group", "GROUP", "all of a group", .set = set_group},
	{"reason", "TEXT", "all whose reason contains TEXT", AT(query.reason)},
	{.text = "Options"},
	{"jq", "PROGRAM",
	 "replay: the output of this jq program instead of each item; where it fails, the dead letter stays",
	 AT(program)},
	{"from", "FILE",
	 "replay: the dead letters in FILE, with the items there; lines as export writes them, of which id and item "
	 "are "
	 "read",
	 AT(from)},
	{"limit", "N", "ls: maximum number (default 100; 0: all)", AT(query.limit), .most = INT64_MAX},
	{"all", NULL, "purge: all dead letters", AT(all)},
	{"output", "FILE", "export: file to write (default: the standard output)", AT(output), .letter = 'o'},
	{0},
};

static const struct cmd_usage usage = {
	.verb = "dead",
	.forms = "       [RUN]\n"
		 "ls     [RUN] [FILTER] [--limit N]\n"
		 "show   [RUN] ID\n"
		 "replay [RUN] [FILTER] [--jq PROGRAM]\n"
		 "replay [RUN] --from FILE\n"
		 "export [RUN] [FILTER] [-o FILE]\n"
		 "purge  RUN FILTER | --all",
	.about = "The dead letters of a run, alive or not, grouped by cause: the step, the status,\n"
		 "and the answer without its ids and numbers.  RUN is its name, for .weir/RUN\n"
		 "below this folder, its pipeline file, or its state folder (default: the only run\n"
		 "below this folder).\n\n"
		 "  ls        one line each      show   everything known about one\n"
		 "  export    JSON lines         purge  removes them, from the disk, too\n"
		 "  replay    turns them into items again, with all their attempts; a running\n"
		 "            pipeline takes them now, otherwise the next `weir run` does",
	.options = options,
};

static const char *check_options(const struct verb *verb, const struct dead_options *opts)
{
	bool filtered = opts->query.id || opts->query.reason || opts->query.group;
	if (verb->run == purge && !opts->run)
		return "which run? purge needs its name, its file or its state folder";
	if (verb->run == show && !opts->query.id)
		return "show needs the ID of a dead letter; ls lists them";
	if (verb->run == purge && filtered == opts->all)
		return "purge needs an ID, --group, --reason or --all";
	if (verb->run != purge && opts->all)
		return "--all belongs to purge";
	if (verb->run != replay && (opts->program || opts->from))
		return "--jq and --from belong to replay";
	if (opts->from && (opts->program || filtered))
		return "--from cannot be combined with --jq or a filter";
	if (verb->run == group && (filtered || opts->limited))
		return "a filter needs a verb: ls, show, replay, export or purge";
	return NULL;
}

/* A first word that is no verb is the run; then there is no other, unless it was to be a verb. */
static int refuse_verb(const char *word)
{
	struct names names = {0};
	for (const struct verb *verb = verbs; verb->name; verb++)
		names_add(&names, verb->name);
	return cmd_refuse_name(&usage, "verb", word, &names);
}

int cmd_dead(int argc, char **argv)
{
	struct dead_options opts = {.query.limit = UNLIMITED};
	int words, code, at = 0;
	if (!cmd_options_read(&usage, argc, argv, &opts, &words, &code))
		return code;
	opts.limited = opts.query.limit != UNLIMITED;
	opts.query.limit = opts.limited ? opts.query.limit : 0;
	const struct verb *verb = find_verb(words ? argv[0] : NULL);
	at += verb->name != NULL;
	if (!verb->name && words > 1)
		return refuse_verb(argv[0]);
	bool is_lone = words - at == 1 && !runs_have(argv[at]);
	if (at < words && !(is_lone && take_id(argv[at], &opts.query.id)))
		opts.run = argv[at++];
	if (at < words && take_id(argv[at], &opts.query.id))
		at++;
	if (at < words)
		return cmd_refuse(&usage, "too many arguments; one ID can follow RUN");
	const char *wrong = check_options(verb, &opts);
	return wrong ? cmd_refuse(&usage, "%s", wrong) : run_verb(verb, &opts);
}
