/* SPDX-License-Identifier: MIT */
/* Line by line, with the family that is open and all series seen so far. */
#include "unit/exposition.h"

#include "support/test.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SERIES_MOST = 8192, FAMILIES_MOST = 256, LINE_MOST = 4096 };

struct reader {
	bool openmetrics;
	char families[FAMILIES_MOST][128], type[32], series[LINE_MOST];
	int family_count;
	char *seen[SERIES_MOST];
	size_t samples;
	double last_le, last_bucket; /* of the histogram series that is open */
	const char *line;
};

#define expect(condition) ck_assert_msg(condition, "%s: in the line: %s", #condition, reader->line)

static size_t name_length(const char *at)
{
	static const char first[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:";
	static const char rest[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_:0123456789";
	return strspn(at, first) ? strspn(at, rest) : 0;
}

static double read_number(struct reader *reader, const char *at, const char *end)
{
	char number[64] = "", *stop;
	expect(end > at && (size_t)(end - at) < sizeof number);
	memcpy(number, at, (size_t)(end - at));
	if (!strcmp(number, "+Inf") || !strcmp(number, "-Inf") || !strcmp(number, "NaN"))
		return strtod(number, NULL);
	expect(strspn(number, "0123456789+-.e") == strlen(number));
	double value = strtod(number, &stop);
	expect(!*stop);
	return value;
}

static void read_head(struct reader *reader, const char *line)
{
	bool help = !strncmp(line, "# HELP ", 7);
	expect(help || !strncmp(line, "# TYPE ", 7));
	const char *name = line + 7;
	size_t n = name_length(name);
	expect(n > 0 && n < 120 && name[n] == ' ');
	if (help) {
		for (int i = 0; i < reader->family_count; i++)
			expect(strncmp(reader->families[i], name, n) != 0 || reader->families[i][n]);
		expect(reader->family_count < FAMILIES_MOST);
		memcpy(reader->families[reader->family_count++], name, n);
		reader->type[0] = 0;
		for (const char *at = name + n; *at; at++)
			if (*at == '\\') {
				at++;
				expect(*at == '\\' || *at == 'n' || (reader->openmetrics && *at == '"'));
			} else {
				expect(!reader->openmetrics || *at != '"');
			}
		return;
	}
	expect(reader->family_count && !reader->type[0]);
	const char *family = reader->families[reader->family_count - 1];
	expect(strlen(family) == n && !memcmp(family, name, n));
	expect(!strcmp(name + n, " counter") || !strcmp(name + n, " gauge") || !strcmp(name + n, " histogram"));
	strcpy(reader->type, name + n + 1);
}

/* The braces; returns what is behind them.  *ret_le: where the value of le begins, or NULL. */
static const char *read_labels(struct reader *reader, const char *at, const char **ret_le)
{
	expect(*at++ == '{');
	for (;;) {
		size_t n = name_length(at);
		expect(n > 0 && !memchr(at, ':', n) && at[n] == '=' && at[n + 1] == '"');
		*ret_le = n == 2 && !memcmp(at, "le", 2) ? at + 4 : NULL;
		for (at += n + 2; *at != '"'; at++) {
			expect(*at);
			if (*at == '\\') {
				at++;
				expect(*at == '\\' || *at == 'n' || *at == '"');
			}
		}
		at++;
		if (*at == '}')
			return at + 1;
		expect(*at == ',');
		at++;
	}
}

static void check_histogram(struct reader *reader, const char *suffix, const char *le, double value)
{
	if (!strcmp(suffix, "_bucket")) {
		expect(le != NULL);
		double bound = read_number(reader, le, strchr(le, '"'));
		expect(bound > reader->last_le && value >= reader->last_bucket);
		reader->last_le = bound;
		reader->last_bucket = value;
		return;
	}
	expect(isinf(reader->last_le) && !le);
	if (!strcmp(suffix, "_sum"))
		return;
	expect(!strcmp(suffix, "_count") && value == reader->last_bucket);
	reader->last_le = -INFINITY;
	reader->last_bucket = 0;
}

static void read_sample(struct reader *reader, const char *line)
{
	const char *le = NULL, *at = line + name_length(line), *end = line + strlen(line);
	char name[256] = "";
	expect(at > line && (size_t)(at - line) < sizeof name);
	memcpy(name, line, (size_t)(at - line));
	if (*at == '{')
		at = read_labels(reader, at, &le);
	expect(*at == ' ');
	char *series = strndup(line, (size_t)(at - line));
	for (size_t i = 0; i < reader->samples; i++)
		expect(strcmp(reader->seen[i], series) != 0);
	expect(reader->samples < SERIES_MOST);
	reader->seen[reader->samples++] = series;
	double value = read_number(reader, at + 1, end);
	expect(reader->family_count && reader->type[0]);
	const char *family = reader->families[reader->family_count - 1];
	expect(!strncmp(name, family, strlen(family)));
	const char *suffix = name + strlen(family);
	if (!strcmp(reader->type, "histogram")) {
		check_histogram(reader, suffix, le, value);
		return;
	}
	expect(!le);
	bool counter = !strcmp(reader->type, "counter");
	expect(!strcmp(suffix, counter && reader->openmetrics ? "_total" : ""));
	expect(!counter || value >= 0);
}

/* With the reader's own idea of UTF-8, through the C library. */
static bool is_utf8(const char *text)
{
	for (const unsigned char *s = (const unsigned char *)text; *s;) {
		unsigned rune = *s, n = *s < 0x80 ? 0 : *s >> 5 == 6 ? 1 : *s >> 4 == 14 ? 2 : *s >> 3 == 30 ? 3 : 9;
		if (n == 9)
			return false;
		rune &= n ? 0x3fu >> n : 0x7fu;
		for (unsigned i = 1; i <= n; i++) {
			if (s[i] >> 6 != 2)
				return false;
			rune = rune << 6 | (s[i] & 0x3f);
		}
		static const unsigned least[] = {0, 0x80, 0x800, 0x10000};
		if (rune < least[n] || rune > 0x10ffff || (rune >= 0xd800 && rune < 0xe000))
			return false;
		s += n + 1;
	}
	return true;
}

size_t exposition_check(const char *text, bool openmetrics)
{
	static struct reader state;
	struct reader *reader = &state;
	memset(reader, 0, sizeof *reader); /* a compound literal would pass over the small stack of a fiber */
	reader->openmetrics = openmetrics;
	reader->last_le = -INFINITY;
	reader->line = "(all)";
	expect(is_utf8(text));
	char *copy = strdup(text), *line = copy;
	bool ended = false;
	while (*line) {
		char *end = strchr(line, '\n');
		reader->line = line;
		expect(end && !ended);
		*end = 0;
		if (openmetrics && !strcmp(line, "# EOF"))
			ended = true;
		else if (*line == '#')
			read_head(reader, line);
		else
			read_sample(reader, line);
		line = end + 1;
	}
	expect(ended == openmetrics);
	free(copy);
	for (size_t i = 0; i < reader->samples; i++)
		free(reader->seen[i]);
	return reader->samples;
}

bool exposition_has(const char *text, const char *line)
{
	size_t n = strlen(line);
	for (const char *at = text; (at = strstr(at, line)); at++)
		if ((at == text || at[-1] == '\n') && at[n] == '\n')
			return true;
	return false;
}
