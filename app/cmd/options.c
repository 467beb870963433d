/* SPDX-License-Identifier: MIT */
#include "cmd/options.h"

#include "data/buf.h"
#include "data/names.h"
#include "data/terminal.h"
#include "data/units.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

enum { WIDTH = 80, LEFT_MOST = 24 };

static bool may_do_without(const struct cmd_option *option)
{
	return option->value && !strncmp(option->value, "[=", 2);
}

static bool is_last(const struct cmd_option *option)
{
	return !option->name && !option->value && !option->text;
}

/* --- help --- */

/* "-o FILE", "--state DIR", "--fresh[=discard]"; of a line that is no option its word. */
static size_t write_left(const struct cmd_option *option, char text[80])
{
	if (!option->name)
		return (size_t)snprintf(text, 80, "  %s", option->value);
	const char *space = option->value && !may_do_without(option) ? " " : "", *value = option->value;
	if (option->letter)
		return (size_t)snprintf(text, 80, "  -%c%s%s", option->letter, space, value ? value : "");
	return (size_t)snprintf(text, 80, "  --%s%s%s", option->name, space, value ? value : "");
}

/* Where texts begin: behind the longest that leaves them room. */
static size_t find_column(const struct cmd_option *options)
{
	char left[80];
	size_t column = 0;
	for (; !is_last(options); options++) {
		size_t n = options->name || options->value ? write_left(options, left) : 0;
		if (n > column && n <= LEFT_MOST)
			column = n;
	}
	return column + 2;
}

static void print_row(const struct cmd_option *option, size_t column)
{
	char left[80];
	size_t at = write_left(option, left);
	fputs(left, stdout);
	if (at + 2 > column) {
		putchar('\n');
		at = 0;
	}
	for (const char *word = option->text; *word;) {
		size_t n = strcspn(word, " ");
		if (at >= column && at + 1 + n > WIDTH) {
			putchar('\n');
			at = 0;
		}
		int gap = at < column ? (int)(column - at) : 1;
		printf("%*s%.*s", gap, "", (int)n, word);
		at += (size_t)gap + n;
		word += n + strspn(word + n, " ");
	}
	putchar('\n');
}

static void print_help(const struct cmd_usage *usage)
{
	const char *lead = "usage:";
	for (const char *form = usage->forms, *end; *form; form = *end ? end + 1 : end) {
		end = strchrnul(form, '\n');
		printf("%6s weir %s%s%.*s\n", lead, usage->verb, end > form ? " " : "", (int)(end - form), form);
		lead = "";
	}
	printf("\n%s\n", usage->about);
	if (usage->options->name || usage->options->value || is_last(usage->options))
		putchar('\n');
	size_t column = find_column(usage->options);
	for (const struct cmd_option *option = usage->options; !is_last(option); option++)
		if (option->name || option->value)
			print_row(option, column);
		else
			printf("\n%s\n", option->text);
	puts("  --help");
	if (usage->more)
		printf("\n%s\n", usage->more);
	if (usage->print_more)
		usage->print_more();
}

/* --- wrong usage --- */

int cmd_refuse(const struct cmd_usage *usage, const char *format, ...)
{
	char who[40], text[1000];
	va_list args;
	va_start(args, format);
	vsnprintf(text, sizeof text, format, args);
	va_end(args);
	snprintf(who, sizeof who, "weir %s", usage->verb);
	terminal_complain(who, "%s", text);
	fprintf(stderr, "`%s --help` shows the options\n", who);
	return EX_USAGE;
}

int cmd_refuse_name(const struct cmd_usage *usage, const char *what, const char *word, const struct names *names)
{
	struct buf known = {0};
	names_describe(names, word, &known);
	int code = cmd_refuse(usage, "unknown %s \"%.80s\"%s", what, word, known.data ? known.data : "");
	buf_fini(&known);
	return code;
}

static int refuse_unknown(const struct cmd_usage *usage, const char *word)
{
	struct names names = {0};
	const char *name = word + strspn(word, "-");
	char bare[60];
	snprintf(bare, sizeof bare, "%.*s", (int)strcspn(name, "="), name);
	for (const struct cmd_option *option = usage->options; !is_last(option); option++)
		if (option->name)
			names_add(&names, option->name);
	names_add(&names, "help");
	const char *closest = names_closest(&names, bare);
	return closest ? cmd_refuse(usage, "unknown option %.80s; did you mean --%s?", word, closest)
		       : cmd_refuse(usage, "unknown option %.80s", word);
}

/* --- reading --- */

struct option_reading {
	const struct cmd_usage *usage;
	char **argv;
	int argc, at;
	void *opts;
};

static int set_number(const struct cmd_option *option, const char *value, uint64_t *field, struct weir_error *err)
{
	int64_t number;
	if (!units_count(value, strlen(value), (int64_t)option->least, (int64_t)option->most, &number))
		return weir_error_set(err, WEIR_EINVAL, "\"%.100s\" is not a whole number from %" PRIu64 " to %" PRIu64,
				      value, option->least, option->most);
	*field = (uint64_t)number;
	return 0;
}

/* "[=WORD]" */
static int set_word(const struct cmd_option *option, const char *value, const char **field, struct weir_error *err)
{
	size_t n = strlen(option->value) - strlen("[=]");
	if (value && (strlen(value) != n || memcmp(value, option->value + 2, n) != 0))
		return weir_error_set(err, WEIR_EINVAL, "unexpected value \"%.60s\"; expected none or %.*s", value,
				      (int)n, option->value + 2);
	*field = value ? value : "";
	return 0;
}

static int set(const struct cmd_option *option, const char *value, void *opts, struct weir_error *err)
{
	void *field = (char *)opts + option->at;
	if (option->set)
		return option->set(opts, value, err);
	if (may_do_without(option))
		return set_word(option, value, field, err);
	if (!value)
		*(bool *)field = true;
	else if (option->most)
		return set_number(option, value, field, err);
	else
		*(const char **)field = value;
	return 0;
}

/* Whether it is that option; *ret_value is what is written with it, or NULL. */
static bool matches(const struct cmd_option *option, const char *word, const char **ret_value)
{
	if (!option->name)
		return false;
	if (word[1] != '-') {
		*ret_value = word[1] && word[2] ? word + 2 : NULL;
		return option->letter && word[1] == option->letter;
	}
	size_t n = strcspn(word + 2, "=");
	*ret_value = word[2 + n] ? word + 3 + n : NULL;
	return strlen(option->name) == n && !memcmp(option->name, word + 2, n);
}

/* 0 or the exit code. */
static int read_option(struct option_reading *self)
{
	const char *word = self->argv[self->at], *value = NULL;
	const struct cmd_option *option = self->usage->options;
	struct weir_error err = {0};
	while (!is_last(option) && !matches(option, word, &value))
		option++;
	if (is_last(option))
		return refuse_unknown(self->usage, word);
	const char *dashes = word[1] == '-' ? "--" : "-";
	char letter[2] = {option->letter, 0};
	const char *name = word[1] == '-' ? option->name : letter;
	if (value && !option->value)
		return cmd_refuse(self->usage, "%s%s takes no value", dashes, name);
	if (!value && option->value && !may_do_without(option)) {
		if (self->at + 1 == self->argc)
			return cmd_refuse(self->usage, "%s%s needs a value: %s", dashes, name, option->value);
		value = self->argv[++self->at];
	}
	if (set(option, value, self->opts, &err))
		return cmd_refuse(self->usage, "%s%s: %s", dashes, name, err.text);
	return 0;
}

bool cmd_options_read(const struct cmd_usage *usage, int argc, char **argv, void *opts, int *ret_words, int *ret_exit)
{
	struct option_reading self = {.usage = usage, .argv = argv, .argc = argc, .at = 1, .opts = opts};
	bool ended = false;
	int words = 0;
	for (; self.at < argc; self.at++) {
		char *word = argv[self.at];
		if (ended || word[0] != '-' || !word[1]) {
			argv[words++] = word;
		} else if (!strcmp(word, "--")) {
			ended = true;
		} else if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
			print_help(usage);
			*ret_exit = 0;
			return false;
		} else if ((*ret_exit = read_option(&self))) {
			return false;
		}
	}
	*ret_words = words;
	return true;
}
