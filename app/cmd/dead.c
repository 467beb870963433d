/* SPDX-License-Identifier: MIT */
/* weir dead: the dead letters that a run keeps in its state. */
#include "cmd/cmd.h"
#include "cmd/letters.h"
#include "cmd/paths.h"
#include "port/json.h"

#include <getopt.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

enum { LS_LIMIT = 100, PAGE = 32 };

struct dead_options {
	const char *state, *run, *output;
	struct letter_query query;
	bool all, limited;
};

static void print_help(FILE *to)
{
	fputs("usage: weir dead ls     RUN [--reason TEXT] [--limit N]\n"
	      "       weir dead show   RUN --id ID\n"
	      "       weir dead replay RUN [--reason TEXT | --id ID]\n"
	      "       weir dead purge  RUN [--reason TEXT | --id ID | --all]\n"
	      "       weir dead export RUN [--reason TEXT] [-o FILE]\n\n"
	      "The dead letters of the run called RUN, in .weir/RUN below this folder, alive or\n"
	      "not.  replay sends items round again, with all their attempts and their history\n"
	      "kept: a run that is alive takes them at once, else the next `weir run` does.\n\n"
	      "  --state DIR      the state folder, instead of RUN\n"
	      "  --reason TEXT    those whose reason contains TEXT\n"
	      "  --id ID          that one\n"
	      "  --limit N        at most N; ls shows 100, 0 is all\n"
	      "  --all            purge: all there are\n"
	      "  -o FILE          export: JSON lines go there; default: the standard output\n"
	      "  --help\n",
	      to);
}

/* --- printing --- */

static const char *text_of(const struct json *letter, const char *name)
{
	const struct json *member = json_member(letter, name);
	size_t n;
	return member && json_type(member) == JSON_TEXT ? json_text(member, &n) : "";
}

static int64_t number_of(const struct json *letter, const char *name)
{
	const struct json *member = json_member(letter, name);
	return member ? json_int(member) : 0;
}

static void print_row(const struct json *letter)
{
	printf("%-10" PRId64 " %-10" PRId64 " %-8" PRId64 " %-20s %s\n", number_of(letter, "id"),
	       number_of(letter, "position"), number_of(letter, "attempts"), text_of(letter, "at"),
	       text_of(letter, "reason"));
}

static void print_letter(const struct json *letter)
{
	const struct json *history = json_member(letter, "history"), *death;
	size_t at = 0;
	printf("id        %" PRId64 "\nposition  %" PRId64 " in the source\ndied      %s, after %" PRId64
	       " attempt%s\nreason    %s\n",
	       number_of(letter, "id"), number_of(letter, "position"), text_of(letter, "at"),
	       number_of(letter, "attempts"), number_of(letter, "attempts") == 1 ? "" : "s", text_of(letter, "reason"));
	while (history && (death = json_next(history, &at, NULL)))
		printf("before    %s, %" PRId64 " attempts: %s\n", text_of(death, "at"), number_of(death, "attempts"),
		       text_of(death, "reason"));
	char *item = json_dump(json_member(letter, "item"), NULL);
	printf("item      %s\n", item ? item : "");
	free(item);
}

/* Calls print for each line of the text. */
static int print_lines(const struct buf *lines, void (*print)(const struct json *letter), struct weir_error *err)
{
	for (const char *at = lines->data, *end; at && *at; at = end + 1) {
		struct json *letter;
		end = strchrnul(at, '\n');
		int code = json_parse(at, (size_t)(end - at), &letter, err);
		if (code)
			return code;
		print(letter);
		json_free(letter);
		if (!*end)
			break;
	}
	return 0;
}

/* --- the verbs --- */

/* Goes through the letters page by page, so that any number of them takes the memory of one page. */
static int each_page(struct letters *letters, const struct dead_options *opts,
		     int (*take)(const struct buf *lines, FILE *to, struct weir_error *err), FILE *to,
		     struct weir_error *err)
{
	struct letter_query query = opts->query;
	size_t left = opts->query.limit ? opts->query.limit : SIZE_MAX;
	for (;;) {
		struct buf lines = {0};
		uint64_t last = 0;
		query.limit = left < PAGE ? left : PAGE;
		int code = letters_do(letters, LETTERS_LIST, &query, &lines, &last, err);
		size_t n = 0;
		if (!code && lines.len)
			code = take(&lines, to, err);
		for (size_t i = 0; i < lines.len; i++)
			n += lines.data[i] == '\n';
		buf_fini(&lines);
		left -= n;
		if (code || n < query.limit || !left)
			return code;
		query.after = last;
	}
}

static int print_page(const struct buf *lines, FILE *to, struct weir_error *err)
{
	(void)to;
	return print_lines(lines, print_row, err);
}

static int show_page(const struct buf *lines, FILE *to, struct weir_error *err)
{
	(void)to;
	return print_lines(lines, print_letter, err);
}

static int write_page(const struct buf *lines, FILE *to, struct weir_error *err)
{
	if (fwrite(lines->data, 1, lines->len, to) == lines->len)
		return 0;
	return weir_error_set(err, -errno, "cannot write: %s", strerror(errno));
}

static int list(struct letters *letters, struct dead_options *opts, struct weir_error *err)
{
	if (!opts->limited)
		opts->query.limit = LS_LIMIT;
	printf("%-10s %-10s %-8s %-20s %s\n", "ID", "POSITION", "ATTEMPTS", "DIED", "REASON");
	int code = each_page(letters, opts, print_page, stdout, err);
	return code;
}

static int show(struct letters *letters, struct dead_options *opts, struct weir_error *err)
{
	return each_page(letters, opts, show_page, stdout, err);
}

static int export(struct letters *letters, struct dead_options *opts, struct weir_error *err)
{
	FILE *to = opts->output ? fopen(opts->output, "we") : stdout;
	if (!to)
		return weir_error_set(err, -errno, "cannot open %s: %s", opts->output, strerror(errno));
	int code = each_page(letters, opts, write_page, to, err);
	if ((to == stdout ? fflush(to) : fclose(to)) && !code)
		code = weir_error_set(err, -errno, "cannot write: %s", strerror(errno));
	return code;
}

static int replay(struct letters *letters, struct dead_options *opts, struct weir_error *err)
{
	uint64_t n = 0;
	int code = letters_do(letters, LETTERS_REPLAY, &opts->query, &(struct buf){0}, &n, err);
	if (!code)
		printf("%" PRIu64 " item%s %s again with the %s\n", n, n == 1 ? "" : "s", n == 1 ? "goes" : "go",
		       letters_live(letters) ? "run that is alive" : "next `weir run`");
	return code;
}

static int purge(struct letters *letters, struct dead_options *opts, struct weir_error *err)
{
	uint64_t n = 0;
	int code = letters_do(letters, LETTERS_PURGE, &opts->query, &(struct buf){0}, &n, err);
	if (!code)
		printf("%" PRIu64 " dead letter%s forgotten\n", n, n == 1 ? "" : "s");
	return code;
}

static const struct verb {
	const char *name;
	int (*run)(struct letters *letters, struct dead_options *opts, struct weir_error *err);
} verbs[] = {{"ls", list}, {"show", show}, {"replay", replay}, {"purge", purge}, {"export", export}};

static const struct verb *find_verb(const char *name)
{
	for (size_t i = 0; name && i < sizeof verbs / sizeof verbs[0]; i++)
		if (!strcmp(verbs[i].name, name))
			return &verbs[i];
	return NULL;
}

static int run_verb(const struct verb *verb, struct dead_options *opts)
{
	struct weir_error err = {0};
	struct letters *letters = NULL;
	char *folder = cmd_state_folder(opts->state, opts->run);
	int code = folder ? letters_open(folder, &letters, &err) : weir_error_set(&err, WEIR_ENOMEM, "out of memory");
	if (!code)
		code = verb->run(letters, opts, &err);
	if (code)
		fprintf(stderr, "weir dead: %s\n", err.text);
	letters_close(letters);
	free(folder);
	return cmd_exit_of(code);
}

static bool take_number(const char *text, uint64_t *ret_number)
{
	char *end;
	errno = 0;
	*ret_number = strtoull(text, &end, 10);
	return *text >= '0' && *text <= '9' && !*end && !errno;
}

static const struct option options[] = {
	{"state", required_argument, NULL, 'd'}, {"reason", required_argument, NULL, 'r'},
	{"id", required_argument, NULL, 'i'},    {"limit", required_argument, NULL, 'l'},
	{"all", no_argument, NULL, 'a'},         {"output", required_argument, NULL, 'o'},
	{"help", no_argument, NULL, 'h'},        {0},
};

static bool take_option(struct dead_options *opts, int option, const char *value)
{
	uint64_t number;
	switch (option) {
	case 'd':
		opts->state = value;
		return true;
	case 'r':
		opts->query.reason = value;
		return true;
	case 'i':
		return take_number(value, &opts->query.id) && opts->query.id;
	case 'l':
		opts->limited = take_number(value, &number);
		opts->query.limit = opts->limited ? (size_t)number : 0;
		return opts->limited;
	case 'a':
		opts->all = true;
		return true;
	case 'o':
		opts->output = value;
		return true;
	default:
		return false;
	}
}

static const char *check_options(const struct verb *verb, const struct dead_options *opts)
{
	bool filtered = opts->query.id || opts->query.reason;
	if (!verb)
		return "one of ls, show, replay, purge, export is needed";
	if (!opts->state == !opts->run)
		return "which run? RUN by its name, or --state DIR";
	if (verb->run == show && !opts->query.id)
		return "show needs --id ID; ls has them";
	if (verb->run == purge && filtered == opts->all)
		return "purge needs --reason TEXT, --id ID or --all";
	return NULL;
}

int cmd_dead(int argc, char **argv)
{
	struct dead_options opts = {0};
	int option;
	while ((option = getopt_long(argc, argv, "ho:", options, NULL)) >= 0) {
		if (option == 'h') {
			print_help(stdout);
			return 0;
		}
		if (!take_option(&opts, option, optarg)) {
			print_help(stderr);
			return EX_USAGE;
		}
	}
	const struct verb *verb = find_verb(optind < argc ? argv[optind++] : NULL);
	if (optind < argc)
		opts.run = argv[optind++];
	const char *wrong = optind < argc ? "too many arguments" : check_options(verb, &opts);
	if (wrong) {
		fprintf(stderr, "weir dead: %s\n\n", wrong);
		print_help(stderr);
		return EX_USAGE;
	}
	return run_verb(verb, &opts);
}
